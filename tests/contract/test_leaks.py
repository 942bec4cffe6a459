"""After a sink's exit nothing of it is left: no task, no thread, no open file or socket."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from service.outcome import Delivered
from service.sinks.contract import Batch
from tests.contract.harness import Fault, Harness
from tests.contract.test_sinks import PROMPTLY, over


def _open_files() -> int:
    """Open file descriptors of the process (Linux and macOS)."""
    return len(os.listdir("/dev/fd"))


def _threads() -> int:
    """Threads, those of C libraries too where the system tells; not those of the loop's own executor."""
    pooled = sum(thread.name.startswith("asyncio_") for thread in threading.enumerate())
    native = Path("/proc/self/task")
    return (len(list(native.iterdir())) if native.exists() else threading.active_count()) - pooled


async def _settles(count: Callable[[], int], at_most: int) -> int:
    """The count once it is small enough. The far ends of closed connections take a moment."""
    try:
        async with asyncio.timeout(PROMPTLY):
            while count() > at_most:
                await asyncio.sleep(0.005)
    except TimeoutError:
        pass
    return count()


async def _use(harness: Harness) -> None:
    async with harness.sink() as sink:
        [outcome] = await sink.write(Batch([harness.event(0)]))
        assert isinstance(outcome, Delivered)


async def _give_up(harness: Harness) -> None:
    async with harness.sink() as sink:
        waiting = harness.hang()
        call = asyncio.ensure_future(sink.write(Batch([harness.event(0)])))
        await waiting
        call.cancel()
        await asyncio.wait({call})
    await harness.recover()


async def _fail(harness: Harness) -> None:
    async with harness.sink() as sink:
        await harness.fail_calls()
        with contextlib.suppress(Exception):  # a sink may say so by raising
            await sink.write(Batch([harness.event(0)]))
    await harness.recover()


@over()
async def test_nothing_is_left_after_use(harness: Harness) -> None:
    await _nothing_left(harness, _use)


@over(Fault.HANG)
async def test_nothing_is_left_after_a_cancelled_write(harness: Harness) -> None:
    await _nothing_left(harness, _give_up)


@over(Fault.CALL)
async def test_nothing_is_left_after_a_failed_call(harness: Harness) -> None:
    await _nothing_left(harness, _fail)


async def _nothing_left(harness: Harness, live: object) -> None:
    # the first life pays for what is made once per process: imports, resolvers, the loop's executor
    assert callable(live)
    await live(harness)
    files, threads, tasks = _open_files(), _threads(), len(asyncio.all_tasks())
    for _ in range(3):
        await live(harness)
    assert await _settles(_threads, threads) <= threads
    assert await _settles(_open_files, files) <= files
    assert await _settles(lambda: len(asyncio.all_tasks()), tasks) <= tasks
