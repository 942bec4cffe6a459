"""Which log lines are repeats: the first few of a kind are told, the rest of its window is counted and told as one.

Bounded: so many kinds are known at once; beyond, those of one level count together. What is critical always passes.
"""

import logging
from datetime import UTC, datetime
from math import inf
from typing import Any, Final

MOST: Final = 20
"""Lines of one kind in a window."""
WINDOW_SECONDS: Final = 10.0
MOST_KINDS: Final = 256
"""Kinds that are told apart in a window."""
LABELS: Final = ("sink", "source", "route")
"""Fields that tell kinds apart, beside logger, level and message: names from the configuration."""
_MESSAGE_CHARACTERS: Final = 200
_OTHERS: Final = "messages of too many kinds were held back"

Kind = tuple[str, int, str, tuple[tuple[str, str], ...]]
"""Logger, level, message, and labels by name."""


class _Window:
    """One kind's."""

    __slots__ = ("began", "held", "passed", "since")

    def __init__(self, began: float, since: float) -> None:
        self.began = began
        """Monotonic time."""
        self.since = since
        """The same as Unix time."""
        self.passed = 0
        self.held = 0


class Repeats:
    """Counts lines by their kind. Times are monotonic, in seconds. Only one thread at a time may call it."""

    def __init__(self) -> None:
        self._windows: dict[Kind, _Window] = {}
        """The oldest first."""

    def hold(self, record: logging.LogRecord, now: float) -> bool:
        """Whether this line is one too many of its kind. Then it is counted, and `over` or `all` tells of it."""
        if record.levelno >= logging.CRITICAL:
            return False
        kind = _kind(record)
        window = self._windows.get(kind)
        if window is None:
            if len(self._windows) >= MOST_KINDS:
                kind = "", record.levelno, _OTHERS, ()
            window = self._windows.setdefault(kind, _Window(now, record.created))
        if window.passed < MOST:
            window.passed += 1
            return False
        window.held += 1
        return True

    def over(self, now: float) -> list[logging.LogRecord]:
        """What is to be told of the windows that are over at `now`: a line for each that held something."""
        ended = []
        for kind, window in self._windows.items():
            if now < window.began + WINDOW_SECONDS:
                break
            ended.append(kind)
        return self._end(ended)

    def all(self) -> list[logging.LogRecord]:
        """The same of all, over or not."""
        return self._end(list(self._windows))

    @property
    def ends_at(self) -> float:
        """When there is next something to tell; inf if nothing is held back."""
        return next((window.began + WINDOW_SECONDS for window in self._windows.values() if window.held), inf)

    def _end(self, kinds: list[Kind]) -> list[logging.LogRecord]:
        told = []
        for kind in kinds:
            window = self._windows.pop(kind)
            if window.held:
                told.append(_line(kind, window))
        return told


def _kind(record: logging.LogRecord) -> Kind:
    fields = vars(record)
    labels = tuple([(name, str(fields[name])[:_MESSAGE_CHARACTERS]) for name in LABELS if name in fields])
    return record.name, record.levelno, str(record.msg)[:_MESSAGE_CHARACTERS], labels


def _line(kind: Kind, window: _Window) -> logging.LogRecord:
    """The one line for all that were held back; of their own fields it has those that they have in common."""
    name, level, message, labels = kind
    since = datetime.fromtimestamp(window.since, UTC).isoformat(timespec="milliseconds")
    fields: dict[str, Any] = {
        "name": name,
        "levelno": level,
        "levelname": logging.getLevelName(level),
        "msg": message,
        **dict(labels),
        "repeated": window.held,
        "since": since,
    }
    return logging.makeLogRecord(fields)
