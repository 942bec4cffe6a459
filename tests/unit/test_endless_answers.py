"""A port whose answers may have no end: whoever reads on has time again, whoever does not is left."""

import asyncio
import socket
from contextlib import AsyncExitStack
from functools import partial

import pytest
from starlette.types import Receive, Scope, Send

from service.http.connections import Connections
from service.http.protocol import BoundedProtocol
from service.ports import listen
from service.telemetry.meter import Meter

ANSWER_SECONDS = 1.0
PIECE = b"x" * 65_536


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that never stops, and is never faster than its client."""
    del scope
    await send({"type": "http.response.start", "status": 200, "headers": []})
    left = asyncio.create_task(_left(receive))
    try:
        while not left.done():
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            await asyncio.sleep(0)
    finally:
        left.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _open(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection of which the system keeps little that is not read."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.setblocking(False)
    host, _, port = address.removeprefix("http://").partition(":")
    await asyncio.get_running_loop().sock_connect(made, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=made, limit=4096)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return reader, writer


@pytest.mark.parametrize("endless_port", [True, False])
async def test_a_client_that_reads_on_is_kept_only_where_answers_have_no_end(endless_port: bool) -> None:
    port = Connections("admin", 10, 2**20, ANSWER_SECONDS, Meter(), endless=endless_port)
    protocol = partial(BoundedProtocol, port)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        _, address = await listen(stack, endless, "admin", "127.0.0.1", 0, protocol, last_answers=1.0)
        reader, writer = await _open(address)
        stack.callback(writer.close)
        until = loop.time() + 3 * ANSWER_SECONDS
        try:
            while loop.time() < until and await reader.read(4096):
                pass
        except ConnectionError:
            assert not endless_port
        assert (loop.time() >= until) is endless_port


async def test_a_client_that_reads_nothing_is_left_there_too() -> None:
    meter = Meter()
    port = Connections("admin", 10, 2**20, 0.05, meter, endless=True)
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        protocol = partial(BoundedProtocol, port)
        _, address = await listen(stack, endless, "admin", "127.0.0.1", 0, protocol, last_answers=1.0)
        reader, writer = await _open(address)
        stack.callback(writer.close)
        await reader.read(1)
        while meter.connections_open["admin"]:
            await asyncio.sleep(0.01)
