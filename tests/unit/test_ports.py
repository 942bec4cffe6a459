"""A port that opens, or says why not."""

import asyncio
import socket
from contextlib import AsyncExitStack
from functools import partial

import pytest
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from service.errors import ConfigError
from service.http.connections import Connections
from service.http.protocol import BoundedProtocol
from service.ports import listen
from service.telemetry.meter import Meter


async def opened(stack: AsyncExitStack, port: int = 0, most: int = 8, meter: Meter | None = None) -> str:
    """The address of a port that answers nothing."""

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("nobody calls")

    connections = Connections("server", most, 2**16, 1.0, meter or Meter())
    protocol = partial(BoundedProtocol, connections)
    async with asyncio.timeout(30):
        _, address = await listen(stack, silent, "server", "127.0.0.1", port, protocol, last_answers=1.0)
    return address


async def test_a_port_is_open_when_listen_returns() -> None:
    async with AsyncExitStack() as stack:
        address = await opened(stack)
        _, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        writer.close()
        await writer.wait_closed()


def test_a_crowd_that_connects_at_once_does_not_wait_a_turn_of_the_loop_for_each() -> None:
    crowd = 80

    async def turns() -> int:
        async with AsyncExitStack() as stack:
            meter = Meter()
            address = await opened(stack, most=100, meter=meter)
            place = ("127.0.0.1", int(address.rpartition(":")[2]))
            for _ in range(crowd):
                stack.enter_context(socket.create_connection(place, timeout=5))
            found = 0
            while meter.connections_open["server"] < crowd:
                await asyncio.sleep(0)
                found += 1
            return found

    # asyncio's own loop accepts all that wait in one turn
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(turns()) < crowd / 4


async def test_an_address_that_is_taken_is_a_mistake_of_the_configuration() -> None:
    async with AsyncExitStack() as stack:
        address = await opened(stack)
        with pytest.raises(ConfigError, match=r"server\.port: cannot bind"):
            await opened(stack, int(address.rpartition(":")[2]))


@pytest.mark.parametrize("end", [None, OSError("no more descriptors")])
async def test_a_server_that_ends_before_it_opens_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, end: Exception | None
) -> None:
    async def serve(*_: object) -> None:
        if end is not None:
            raise end

    monkeypatch.setattr(uvicorn.Server, "serve", serve)
    with pytest.raises(type(end) if end else RuntimeError):
        async with AsyncExitStack() as stack:
            await opened(stack)
