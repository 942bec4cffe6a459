"""Background tasks end with whoever began them, and nobody else's end is taken for theirs."""

import asyncio

import pytest

from service.tasks import ended


async def test_a_task_is_over_when_it_was_ended() -> None:
    task = asyncio.create_task(asyncio.sleep(1000))
    await asyncio.sleep(0)
    await ended(task)
    assert task.cancelled()
    await ended(task)  # it had been


async def test_what_a_task_raised_is_raised() -> None:
    async def fails() -> None:
        raise ValueError("defect")

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    with pytest.raises(ValueError, match="defect"):
        await ended(task)


async def test_whoever_is_cancelled_while_it_waits_is() -> None:
    go = asyncio.Event()

    async def lingers() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await go.wait()

    task = asyncio.create_task(lingers())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(ended(task))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not task.done()
    go.set()
    await asyncio.wait({task})
