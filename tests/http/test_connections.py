"""HTTP/1.1 as such: connections that are kept, pipelined, closed, or asked for leave to send a body."""

import asyncio

import pytest

from tests.http.client import SECONDS, chunked, head, request
from tests.http.running import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
server: {memory: 40MiB, max_body: 256KiB, request_timeout: 10s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}
routes:
  orders: {to: [main]}
"""

GOOD = b'{"number":1}'
JSON = {"Content-Type": "application/json"}


async def test_a_connection_is_used_again(service: Service) -> None:
    async with await service.connect() as connection:
        for number in range(3):
            await connection.send(request("/v1/orders", b'{"number":%d}' % number))
            answer = await connection.answer()
            assert (answer.status, answer.version) == (200, "HTTP/1.1")
            assert "connection" not in answer.headers
    assert len(service.sinks["main"].taken) == 3


async def test_a_refusal_keeps_the_connection(service: Service) -> None:
    async with await service.connect() as connection:
        for body in (b"", b"[", GOOD):
            await connection.send(request("/v1/orders", body))
            answer = await connection.answer()
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/v1/nothing", "/nothing"])
async def test_an_answer_before_the_body_keeps_the_connection(service: Service, path: str) -> None:
    whole = request(path, b"x" * 200_000)
    async with await service.connect() as connection:
        await connection.send(whole[:1000])
        assert (await connection.answer()).status == 404
        await connection.send(whole[1000:])
        await connection.send(request("/v1/orders", GOOD))
        assert (await connection.answer()).status == 200


async def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    sink = service.sinks["main"]
    sink.hold()
    async with await service.connect() as connection:
        await connection.send(
            request("/v1/orders", GOOD, {"X-Request-Id": "first"})
            + request("/v1/orders", b"", {"X-Request-Id": "second"})
            + request("/v1/orders", GOOD, {"X-Request-Id": "third"})
        )
        await sink.called()
        sink.deliver()
        answers = [await connection.answer() for _ in range(3)]
    assert [answer.headers["x-request-id"] for answer in answers] == ["first", "second", "third"]
    assert [answer.status for answer in answers] == [200, 400, 200]


async def test_a_request_in_single_bytes_is_one_request(service: Service) -> None:
    async with await service.connect() as connection:
        for byte in request("/v1/orders", GOOD):
            await connection.send(bytes((byte,)))
        assert (await connection.answer()).status == 200


async def test_a_chunked_body_is_taken(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(head("POST", "/v1/orders", {**JSON, "Transfer-Encoding": "chunked"}))
        await connection.send(chunked([GOOD[:3], GOOD[3:4], GOOD[4:]]))
        assert (await connection.answer()).status == 200
    assert service.sinks["main"].taken[0].body == GOOD


async def test_http_1_0_is_answered_and_closed(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(head("POST", "/v1/orders", {**JSON, "Content-Length": str(len(GOOD))}, "HTTP/1.0") + GOOD)
        answer = await connection.answer()
        assert answer.status == 200
        assert await connection.ended()


async def test_connection_close_is_honoured(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", GOOD, {"Connection": "close"}))
        answer = await connection.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await connection.ended()


async def test_leave_to_send_a_body_is_given(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", GOOD, {"Expect": "100-continue"})[: -len(GOOD)])
        assert (await connection.provisional()).status == 100
        await connection.send(GOOD)
        assert (await connection.answer()).status == 200


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [("/v1/orders", 2**30, 413), ("/v1/nothing", 12, 404)],
)
async def test_a_body_that_is_refused_is_not_asked_for(service: Service, path: str, length: int, status: int) -> None:
    async with await service.connect() as connection:
        await connection.send(head("POST", path, {**JSON, "Content-Length": str(length), "Expect": "100-continue"}))
        answer = await connection.provisional()
        assert answer.status == status
        assert answer.headers["connection"] == "close"


async def test_a_producer_that_writes_all_before_it_reads_sees_why_it_was_refused(service: Service) -> None:
    # more than both sockets' buffers hold: the service must read on, or its answer is lost in a reset
    body = b"x" * 16 * 2**20
    async with await service.connect() as connection, asyncio.timeout(SECONDS):
        await connection.send(request("/v1/orders", body))
        answer = await connection.answer()
        assert (answer.status, answer.code) == (413, "body_too_large")
        assert await connection.ended()


async def test_a_client_that_leaves_before_the_answer_loses_nothing(service: Service) -> None:
    sink = service.sinks["main"]
    sink.hold()
    connection = await service.connect()
    await connection.send(request("/v1/orders", GOOD))
    await sink.called()
    connection.reset()
    sink.deliver()
    metrics = await service.until(
        lambda metrics: (
            metrics.total("penstock_lane_events_held") == 0 and metrics.total("penstock_http_requests_open") == 0
        )
    )
    assert [event.body for event in sink.taken] == [GOOD]
    service.conserved(metrics)


async def test_a_client_that_leaves_within_its_body_sends_nothing(service: Service) -> None:
    connection = await service.connect()
    await connection.send(request("/v1/orders", GOOD)[:-1])
    await service.until(lambda metrics: metrics.total("penstock_http_requests_open") == 1)
    await connection.close()
    await service.idle()
    assert service.sinks["main"].calls == 0
