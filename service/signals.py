"""The signals that end a process: SIGTERM and SIGINT."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator


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
