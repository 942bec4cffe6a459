"""The watchdog: a thread that asks the event loop for a sign of life, and says where the loop stands when none comes.

It sees a loop that is held up by code that lets other threads run. Code that does not (a long call in C that keeps the
interpreter's lock) holds it up too: it is told of afterwards.
"""

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Final, Self

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 0.25
STUCK_SECONDS: Final = 10.0
"""A loop that has not answered for so long is stuck: no request of any kind was answered meanwhile."""
_MOST_FRAMES: Final = 40


class Watchdog:
    """Watches the running loop inside `with`."""

    def __init__(
        self, beat: Callable[[float], None], beat_seconds: float = BEAT_SECONDS, stuck_seconds: float = STUCK_SECONDS
    ) -> None:
        """`beat` is called on the loop, about every `beat_seconds`, with the seconds that it took to be."""
        self._beat = beat
        self._beat_seconds = beat_seconds
        self._stuck_seconds = stuck_seconds
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._ending = threading.Event()
        self._asked_at: float | None = None
        """When the loop was asked for a sign that it has not given; one at a time, so that nothing heaps up."""
        self._told = False
        """Whether it was said of this question that the loop is stuck."""
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join(1.0)  # it may be writing to a standard error that nobody reads

    def _watch(self) -> None:
        while not self._ending.wait(self._beat_seconds):
            asked_at = self._asked_at
            if asked_at is None:
                self._asked_at = monotonic()
                try:
                    self._loop.call_soon_threadsafe(self._answer)
                except RuntimeError:  # the loop is closed
                    return
            elif not self._told and monotonic() - asked_at >= self._stuck_seconds:
                self._told = True
                self._tell(monotonic() - asked_at)

    def _answer(self) -> None:
        """On the loop."""
        assert self._asked_at is not None
        lag = monotonic() - self._asked_at
        if lag >= self._stuck_seconds:
            log.error("the event loop goes on after it was stuck", extra={"stuck_seconds": round(lag, 1)})
        self._told = False
        self._asked_at = None
        self._beat(lag)

    def _tell(self, seconds: float) -> None:
        """Say where the loop's thread stands, by files, lines and functions; not with what."""
        frame = sys._current_frames().get(self._loop_thread)
        stack = traceback.extract_stack(frame)[-_MOST_FRAMES:] if frame is not None else []
        task = asyncio.current_task(self._loop)
        log.critical(
            "the event loop is stuck: nothing is answered, nor delivered",
            extra={
                "stuck_seconds": round(seconds, 1),
                "task": task.get_name() if task is not None else None,
                "stack": [f"{each.filename}:{each.lineno} {each.name}" for each in reversed(stack)],
            },
        )
