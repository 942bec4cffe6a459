"""The frames of `penstock top`, one after the other: a service that is gone is said to be, and asked again."""

import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from service.top import figures
from service.top.asking import Unreachable
from service.top.frame import BAD, frame, healthy

HEALTHY, DEGRADED, UNREACHABLE = 0, 1, 2
"""Exit codes of `--once`."""

Ask = Callable[[], dict[str, Any]]

_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, StopIteration)
_NO_STATUS: Final = "what answers there is no /status that this version reads"


class Shows(Protocol):
    """Where frames go."""

    def __call__(self, found: RenderableType) -> None:
        """Show it in place of the one before."""


def once(ask: Ask, console: Console) -> int:
    """Print one frame. Returns the exit code."""
    try:
        found = ask()
    except Unreachable as error:
        console.print(Text(str(error)))
        return UNREACHABLE
    try:
        shown, code = frame(found, None, 0.0), HEALTHY if healthy(found) else DEGRADED
    except _UNREADABLE:
        shown, code = Text(_NO_STATUS), UNREACHABLE
    console.print(shown)
    return code


def live(ask: Ask, console: Console, interval: float, wait: Callable[[float], None] = time.sleep) -> None:
    """Frames until KeyboardInterrupt; `interval` seconds lie between them. Where there is no terminal, one after the
    other."""
    frames = Frames(ask)
    if not console.is_terminal:
        while True:
            console.print(frames.next())
            wait(interval)
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as shown:
        while True:
            shown.update(frames.next(), refresh=True)
            wait(interval)


class Frames:
    """Remembers the answer before, for the differences, and the last one, for when there is none."""

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._before: tuple[float, dict[str, Any]] | None = None
        self._shown: RenderableType = Text()
        self._gone_at: float | None = None

    def next(self) -> RenderableType:
        """The frame of now."""
        try:
            found = self._ask()
        except Unreachable as error:
            return self._gone(str(error))
        now = self._clock()
        before_at, before = self._before if self._before is not None else (now, None)
        try:
            if before is not None and before["started"] != found["started"]:
                before = None  # another process: its counters began anew
            shown = frame(found, before, now - before_at)
        except _UNREADABLE:
            return self._gone(_NO_STATUS)
        self._before, self._gone_at, self._shown = (now, found), None, shown
        return shown

    def _gone(self, why: str) -> RenderableType:
        now = self._clock()
        if self._gone_at is None:
            self._gone_at = now
        words = f"{why} (for {figures.seconds(now - self._gone_at)}); it is asked again"
        last = [Text("\nWhat it said last:\n"), self._shown] if self._before is not None else []
        return Group(Text(words, BAD), *last)
