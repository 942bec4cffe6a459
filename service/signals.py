"""The signals that end a process: SIGTERM and SIGINT."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator

FROM_SIGNAL = 128
"""What a shell adds to the number of the signal that a process ended from."""


def end_when_told() -> None:
    """Until `heard` begins, end at SIGTERM at once: nothing has been taken yet.

    That is what any process does, but for process 1 of a container, to which the kernel delivers no signal that it has
    no handler for (pid_namespaces(7)): told to stop while it starts, it would serve on until it is killed.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda number, _: os._exit(FROM_SIGNAL + number))


@contextlib.contextmanager
def heard(first: Callable[[], object], again: Callable[[], object]) -> Iterator[None]:
    """Call `first` at the first SIGTERM or SIGINT, `again` at each one after it, until the block ends."""
    loop = asyncio.get_running_loop()
    before = False

    def caught() -> None:
        nonlocal before
        told, before = (again if before else first), True
        told()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, caught)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
