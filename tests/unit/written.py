"""A configuration written to a file, and what is found wrong with it."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from service.config import load
from service.errors import ConfigError

SOUND = """
sinks:
  data: {type: memory}
routes:
  orders: {to: [data]}
"""
"""As little as there must be, to put the subject of a test before it."""


def write(folder: Path, text: str) -> Path:
    """The path of a file with this configuration."""
    path = folder / "penstock.yaml"
    path.write_text(dedent(text).lstrip("\n"), "utf-8")
    return path


def mistakes(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """Every mistake in the configuration, with `penstock.yaml` for the file's whole path; none if it is sound."""
    path = write(folder, text)
    try:
        load(path, environment or {})
    except ConfigError as error:
        return [mistake.replace(str(path), "penstock.yaml") for mistake in error.mistakes]
    return []


def routes(text: str, sinks: str = "a b c d") -> str:
    """A configuration of memory sinks with these names, and these routes."""
    return "sinks:\n" + "".join(f"  {name}: {{type: memory}}\n" for name in sinks.split()) + f"routes:\n{text}"
