"""How a local broker that runs as a program of its own tells where it is, and how it is told to end."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def announce(bootstrap: str) -> None:
    """Print `{"bootstrap": ...}`: the one line that whoever started the program reads."""
    print(json.dumps({"bootstrap": bootstrap}), flush=True)


@contextmanager
def until_told_to_end() -> Iterator[Callable[[], None]]:
    """Gives a function that returns when standard input closes. SIGTERM and SIGINT end the block wherever it is.

    A parent that dies, however it dies, closes the pipe: the broker does not outlive it.
    """

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise SystemExit(0)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: _drain(sys.stdin.fileno())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _drain(descriptor: int) -> None:
    while os.read(descriptor, 4096):
        pass
