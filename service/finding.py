"""The finding: one thing that `penstock doctor` looked at, how it stands, and what to do about it."""

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Protocol, runtime_checkable

from msgspec import Struct


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing: nothing is wrong, or nobody can tell."""
    WARNING = "warning"
    """It works, but not as well as it might, or not for ever."""
    PROBLEM = "problem"
    """It cannot work so."""


class Finding(Struct, frozen=True):
    """What was found."""

    level: Level
    about: str
    """What was looked at, in a word or two: `record size`."""
    found: str
    do: str = ""
    """What to do; empty if nothing is to be done."""


@runtime_checkable
class Examined(Protocol):
    """What a sink or a source offers beside `probe` if there is more to say than whether it can be used."""

    def examine(self) -> AsyncIterator[Finding]:
        """What there is to say, beginning with whether it can be used. Sends no data.

        Asked of a sink that is entered, and of a source that is not. What was yielded counts, also if it hangs or
        raises after that. `ProbeError` and `ConfigError` are problems in words of their own; so `probe` may be awaited.
        """


def ok(about: str, found: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, about, found)


def note(about: str, found: str, do: str = "") -> Finding:
    """Worth knowing."""
    return Finding(Level.NOTE, about, found, do)


def warning(about: str, found: str, do: str) -> Finding:
    """It works, but."""
    return Finding(Level.WARNING, about, found, do)


def problem(about: str, found: str, do: str = "") -> Finding:
    """It cannot work."""
    return Finding(Level.PROBLEM, about, found, do)
