"""A local broker as a program of its own: its options, how it tells where it is, and how it is told to end."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, MappingProxyType
from typing import Protocol


class Broker(Protocol):
    """Brokers that run."""

    @property
    def announcement(self) -> Mapping[str, str]:
        """Where they are: `bootstrap`, `host:port,...`, and what else there is to tell."""


def run(
    module: str,
    description: str | None,
    broker: Callable[..., AbstractContextManager[Broker]],
    flags: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Run `broker(topics, partitions)`, print its announcement in one line, and wait to be told to end.

    `flags`: options that are on or off, each with what it is for; `broker` takes them by name.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--topics", default="", help="names, separated by commas")
    parser.add_argument("--partitions", type=int, default=4, help="of each topic")
    for name, help_ in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=help_)
    options = parser.parse_args()
    topics = [topic for topic in options.topics.split(",") if topic]
    on = {name: getattr(options, name) for name in flags}
    with _until_told_to_end() as wait, broker(topics, options.partitions, **on) as running:
        print(json.dumps(running.announcement), flush=True)
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
