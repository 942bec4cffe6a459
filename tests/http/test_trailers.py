"""What comes of a chunked body beside its bytes: bounded as a head is, and kept by nobody."""

import asyncio

import pytest

from tests.http.claims import assert_no_http, assert_problem, assert_retry_after
from tests.http.client import JSON, Connection, connect, head
from tests.http.running import Service

CONFIGURATION = """
server: {memory: 40MiB, max_connections: 120, body_timeout: 10s, request_timeout: 10s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}
routes:
  orders: {to: [main], key: "header:x-tenant"}
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = b'{"number":1}'
CHUNKED = {"Content-Type": JSON, "X-Tenant": "a", "Transfer-Encoding": "chunked"}
CHUNK = b"%x\r\n%b\r\n" % (len(GOOD), GOOD)
START = head("POST", "/v1/orders", CHUNKED) + CHUNK
LAST = b"0\r\n"


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (LAST + b"X-T: ", b"a" * 1000),
        (LAST, b"X-T: a\r\n"),
        (LAST + b"X", b"a" * 1000),
        (b"5;x=", b"a" * 1000),
        (b"0", b"0" * 1000),
    ],
    ids=["value", "lines", "name", "extension", "zeros"],
)
async def test_400_for_what_follows_the_chunks_without_end(service: Service, begin: bytes, more: bytes) -> None:
    async with await service.connect() as connection:
        await connection.send(START + begin)
        await connection.send(more * (200_000 // len(more)))
        answer = await connection.answer()
        assert_no_http(answer)
        assert "more than 32768 bytes" in answer.json["detail"]
        assert await connection.ended()
    assert service.sinks["main"].calls == 0


@pytest.mark.parametrize(("port", "path"), [("server", "/v1/nothing"), ("server", "/nothing"), ("admin", "/nothing")])
async def test_a_trailer_without_end_ends_the_connection_after_an_early_answer_too(
    service: Service, port: str, path: str
) -> None:
    async with await connect(service.url if port == "server" else service.admin) as connection:
        await connection.send(head("POST", path, CHUNKED) + CHUNK)
        assert (await connection.answer()).status == 404
        await connection.send(LAST + b"X-T: " + b"a" * 200_000)
        assert_no_http(await connection.answer())
        assert await connection.ended()


async def test_a_trailer_within_bounds_is_taken_and_is_no_header(service: Service) -> None:
    trailers = b"X-Tenant: b\r\nHost: x\r\nContent-Type: text/plain\r\n" + b"X-A: b\r\n" * 200
    async with await service.connect() as connection:
        for trailer in (trailers, b"X-Long: " + b"y" * 30_000 + b"\r\n", b""):
            await connection.send(START + LAST + trailer + b"\r\n")
            assert (await connection.answer()).status == 200
    assert [(event.key, event.body) for event in service.sinks["main"].taken] == [("a", GOOD)] * 3


async def test_what_stands_between_chunks_begins_anew_with_each(service: Service) -> None:
    pieces = [b'{"n":1'] + [b" "] * 10 + [b"}"]
    async with await service.connect() as connection:
        await connection.send(head("POST", "/v1/orders", CHUNKED))
        for piece in pieces:
            await connection.send(b"%x;x=%b\r\n" % (len(piece), b"y" * 20_000) + piece + b"\r\n")
        await connection.send(LAST + b"\r\n")
        assert (await connection.answer()).status == 200


async def test_unfinished_trailers_share_the_memory_of_unfinished_heads(service: Service) -> None:
    begun = [await service.connect() for _ in range(99)]
    for connection in begun:
        await connection.send(START)
    for connection in begun:
        await connection.send(LAST + b"X-Long: " + b"y" * 31_000)
    assert (await service.post("/v1/orders", GOOD, {"X-Tenant": "a"})).status == 200

    async def status(connection: Connection) -> int:
        answer = await connection.answer()
        if answer.status != 200:
            assert_problem(answer, 503, "busy")
            assert_retry_after(answer)
        return answer.status

    for connection in begun:
        await connection.send(b"\r\n\r\n")
    statuses = await asyncio.gather(*map(status, begun))
    # of each, what came in its first 16 KiB may not be counted
    assert 0 < statuses.count(200) <= 5 * 2**18 // (31_000 - 16_384)
    for connection in begun:
        await connection.close()
