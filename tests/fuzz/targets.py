"""Which decoders there are. Each is a module beside this one with `run(data)`: it returns, whatever the bytes, or there
is a finding. It asserts what its decoder promises beyond that.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).parent / "corpus"
MOST_BYTES: Final = 4096
"""Of an input that is made up: what is larger costs time, and finds no more."""

NAMES: Final = (
    "aggregates",
    "bodies",
    "compression",
    "configuration",
    "credentials",
    "firehose",
    "headers",
    "journal",
    "letters",
    "messages",
    "records",
    "requests",
    "schemas",
)

Target = Callable[[bytes], None]


def target(name: str) -> Target:
    """The harness of this name."""
    if name not in NAMES:
        raise LookupError(f"there is no harness {name!r}; there are {', '.join(NAMES)}")
    run: Target = import_module(f"tests.fuzz.{name}").run
    return run


def corpus(name: str) -> list[Path]:
    """What is replayed by the tests, and where a search begins."""
    return sorted(path for path in (CORPUS / name).iterdir() if path.is_file())
