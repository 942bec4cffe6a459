"""What a supervisor and a worker say to each other, and how either notices that the other is gone."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from msgspec.msgpack import Decoder

from service.workers.channel import COMMANDS, MESSAGES, Channel, Command, Message, Misconfigured


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Channel, Channel]]:
    """Both ends of a channel."""
    first, second = [await Channel.over(end) for end in socket.socketpair()]
    yield first, second
    await first.close()
    await second.close()


async def heard(end: Channel, decoder: Decoder[Message]) -> Message:
    async with asyncio.timeout(30):
        return await end.receive(decoder)


async def test_messages_arrive_whole_and_in_order(ends: tuple[Channel, Channel]) -> None:
    supervisor, worker = ends
    long = Misconfigured(["x" * 300_000])
    worker.send(long)
    worker.send(Misconfigured([]))
    supervisor.send(Command.STOP)
    assert [await heard(supervisor, MESSAGES), await heard(supervisor, MESSAGES)] == [long, Misconfigured([])]
    assert await worker.receive(COMMANDS) is Command.STOP


async def test_an_end_that_is_gone_is_noticed_and_may_still_be_told_something(ends: tuple[Channel, Channel]) -> None:
    supervisor, worker = ends
    worker.send(Misconfigured(["last words"]))
    await worker.close()
    assert await heard(supervisor, MESSAGES) == Misconfigured(["last words"])
    with pytest.raises(EOFError):
        await heard(supervisor, MESSAGES)
    supervisor.send(Command.NOW)
    await supervisor.close()
    supervisor.send(Command.NOW)


async def test_an_end_that_went_without_reading_has_still_said_what_it_said(ends: tuple[Channel, Channel]) -> None:
    supervisor, worker = ends
    worker.send(Misconfigured(["last words"]))
    for _ in range(2):
        supervisor.send(Command.REPORT)
    await worker.close()
    assert await heard(supervisor, MESSAGES) == Misconfigured(["last words"])
    with pytest.raises(EOFError):
        await heard(supervisor, MESSAGES)


async def test_a_side_that_reads_nothing_is_seen(ends: tuple[Channel, Channel]) -> None:
    supervisor, worker = ends
    assert not worker.backlogged
    while not worker.backlogged:
        worker.send(Misconfigured(["x" * 100_000]))
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        while worker.backlogged:
            await supervisor.receive(MESSAGES)
