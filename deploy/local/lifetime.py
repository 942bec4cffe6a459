"""A local broker as a program of its own: its options, how it tells where it is, and how it is told to end."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Protocol


class Broker(Protocol):
    """Brokers that run."""

    @property
    def bootstrap(self) -> str:
        """`host:port,...`."""


def run(
    module: str, description: str | None, broker: Callable[[list[str], int], AbstractContextManager[Broker]]
) -> None:
    """Run `broker(topics, partitions)`, print `{"bootstrap": ...}` in one line, and wait to be told to end."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--topics", default="", help="names, separated by commas")
    parser.add_argument("--partitions", type=int, default=4, help="of each topic")
    options = parser.parse_args()
    topics = [topic for topic in options.topics.split(",") if topic]
    with _until_told_to_end() as wait, broker(topics, options.partitions) as running:
        print(json.dumps({"bootstrap": running.bootstrap}), flush=True)
        wait()


@contextmanager
def _until_told_to_end() -> Iterator[Callable[[], None]]:
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
