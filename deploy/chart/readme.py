"""The chart's README: a text of its own, and a table of the values with their comments."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parents[2] / "helm" / "penstock"
TEXT: Final = CHART / "files" / "readme.md"
MARK: Final = "<!-- values -->\n"


def readme() -> str:
    """The whole of `helm/penstock/README.md`."""
    return TEXT.read_text("utf-8").replace(MARK, table())


def table() -> str:
    """A row for each value."""
    rows = [f"| `{name}` | `{default}` | {meaning} |" for name, default, meaning in described()]
    return "| value | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def described() -> Iterator[tuple[str, str, str]]:
    """Path, default as JSON and comment of each value of `values.yaml`, in its order."""
    text = (CHART / "values.yaml").read_text("utf-8")
    values = yaml.safe_load(text)
    comment: list[str] = []
    outer = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.removeprefix("# "))
        elif not stripped:
            comment = []
        else:
            name = stripped.partition(":")[0]
            if not line.startswith(" "):
                outer = name
                value: Any = values[name]
                if isinstance(value, dict) and value and stripped.endswith(":"):
                    if comment:
                        yield name, "", " ".join(comment)
                    comment = []
                    continue
                yield name, _shown(value), " ".join(comment)
            else:
                yield f"{outer}.{name}", _shown(values[outer][name]), " ".join(comment)
            comment = []


def _shown(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")
