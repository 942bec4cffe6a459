"""Clients that send a byte at a time: they are cut when their time is over, however much keeps coming, and hold nobody
up meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import pytest

from tests.http.client import JSON, Answer, Connection, head, request
from tests.http.running import Service, running

CONFIGURATION = """
server:
  memory: 40MiB
  body_timeout: 1s
  request_timeout: 3s
  load_balancer_idle: 3200ms
  keep_alive: 3250ms
  drain_timeout: 1s
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 2s, call_timeout: 500ms}
routes:
  orders: {to: [main]}
"""

Found = TypeVar("Found")
GOOD = b'{"number":1}'
MANY = 50
BETWEEN_BYTES = 0.05
HEAD = head("POST", "/v1/orders", {"Content-Type": JSON, "X-Slow": ""})[:-4]
LENGTH = head("POST", "/v1/orders", {"Content-Type": JSON, "Content-Length": "100000"})
CHUNKS = head("POST", "/v1/orders", {"Content-Type": JSON, "Transfer-Encoding": "chunked"})


async def dripped(connection: Connection, byte: bytes, wanted: Callable[[], Coroutine[Any, Any, Found]]) -> Found:
    """What `wanted` returns; until then the same bytes are sent again and again."""
    task = asyncio.create_task(wanted())
    while not (await asyncio.wait({task}, timeout=BETWEEN_BYTES))[0]:
        await connection.send(byte)
    return task.result()


@asynccontextmanager
async def crowd(service: Service, start: bytes) -> AsyncIterator[list[Connection]]:
    """Connections that have begun a request."""
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(await service.connect()) for _ in range(MANY)]
        for connection in connections:
            await connection.send(start)
        yield connections


async def test_a_head_that_comes_byte_by_byte_is_cut_at_its_time() -> None:
    async with running(CONFIGURATION) as service, crowd(service, HEAD) as connections:
        ends = [asyncio.create_task(dripped(each, b"y", each.ended)) for each in connections]
        async with await service.connect() as other:
            for _ in range(20):
                await other.send(request("/v1/orders", GOOD))
                assert (await other.answer()).status == 200
            await asyncio.wait(ends)
        assert {each.result() for each in ends} == {True}


@pytest.mark.parametrize(("start", "byte"), [(LENGTH, b" "), (CHUNKS, b"1\r\n \r\n")], ids=["length", "chunks"])
async def test_a_body_that_comes_byte_by_byte_is_408_at_its_time(start: bytes, byte: bytes) -> None:
    async with running(CONFIGURATION) as service, crowd(service, start) as connections:
        answers = [asyncio.create_task(dripped(each, byte, each.answer)) for each in connections]
        async with await service.connect() as other:
            for _ in range(20):
                await other.send(request("/v1/orders", GOOD))
                assert (await other.answer()).status == 200
            await asyncio.wait(answers)
        told: list[Answer] = [each.result() for each in answers]
        assert {(answer.status, answer.code) for answer in told} == {(408, "client_timeout")}


async def test_an_endless_chunk_line_is_cut_at_the_bodys_time() -> None:
    async with running(CONFIGURATION) as service, await service.connect() as connection:
        await connection.send(CHUNKS + b"1;")
        answer = await dripped(connection, b"x", connection.answer)
        assert (answer.status, answer.code) == (408, "client_timeout")
