"""Log lines to an open descriptor, whoever reads it: a reader that stops reading must not hold up the event loop."""

import os
import select
from contextlib import suppress
from time import monotonic
from typing import Final, Self, TextIO

WAIT_SECONDS: Final = 0.1
"""How long a line waits for a reader that is behind. Once one has waited in vain, none waits until there is room."""


class Lines:
    """A stream for `logging`. What does not fit is lost, and counted in `lost`.

    A pipe that is writable takes PIPE_BUF bytes without blocking (pipe(7)). Where several processes write to the same
    one, another may be first: then a write waits for the reader after all.
    """

    def __init__(self, descriptor: int) -> None:
        self.lost = 0
        """Lines, since somebody set it to 0."""
        self._descriptor = descriptor
        self._patient = True
        self._torn = False
        """A line was begun and not ended: the next one begins on a line of its own."""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    @classmethod
    def over(cls, stream: TextIO) -> Self | None:
        """For the descriptor of `stream`; None if it has none."""
        try:
            return cls(stream.fileno())
        except (OSError, ValueError, AttributeError):
            return None

    @property
    def has_room(self) -> bool:
        """Whether a line would be taken at once, the most of it at least."""
        return bool(self._poll.poll(0))

    def write(self, text: str) -> None:
        """Write whole lines; what the descriptor does not take in time, or not at all, is lost."""
        data = (b"\n" if self._torn else b"") + text.encode("utf-8", "backslashreplace")
        until = monotonic() + (WAIT_SECONDS if self._patient else 0.0)
        written = 0
        with suppress(OSError):  # nobody is there to be told
            while written < len(data) and self._poll.poll(max(0.0, until - monotonic()) * 1000):
                written += os.write(self._descriptor, data[written : written + select.PIPE_BUF])
        self._patient = written == len(data)
        if written:
            self._torn = data[written - 1] != ord("\n")
        if not self._patient:
            self.lost += 1

    def flush(self) -> None:
        """Nothing is kept."""
