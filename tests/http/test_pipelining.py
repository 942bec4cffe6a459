"""Pipelined requests: each has its turn once those before it are answered, and takes no more than its bytes before."""

import asyncio
import gc

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.http.exchange import Exchange
from tests.http.claims import assert_no_http, assert_problem, assert_retry_after
from tests.http.client import JSON, SECONDS, chunked, head, request
from tests.http.running import Service, running
from tests.http.test_bounds import sipping
from tests.http.test_shutdown import stopping

CONFIGURATION = """
server: {memory: 40MiB, max_connections: 100, body_timeout: 1s, request_timeout: 8s, drain_timeout: 3s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}
routes:
  orders: {to: [main], key: "header:x-tenant"}
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = b'{"number":1}'
TYPED = {"Content-Type": JSON, "X-Tenant": "a"}
POST = request("/v1/orders", GOOD, TYPED)
LIVE = head("GET", "/livez", {})
HEAD_MEMORY = 40 * 2**20 // 32


def parsed() -> int:
    """How many requests somebody holds on to."""
    gc.collect()
    return sum(type(each) in (Exchange, RequestResponseCycle) for each in gc.get_objects())


async def taken(service: Service) -> bool:
    """Whether the service takes connections."""
    try:
        await (await service.connect()).close()
    except ConnectionError:  # refused; or reset, if it was not accepted yet when the port was closed
        return False
    return True


@pytest.mark.parametrize("whole", [POST, LIVE, request("/v1/orders", b"["), request("/nothing", GOOD)])
async def test_many_in_one_read_are_all_answered(service: Service, whole: bytes) -> None:
    async with await service.connect() as connection:
        await connection.send(whole)
        status = (await connection.answer()).status
        await connection.send(whole * 300)
        assert {(await connection.answer()).status for _ in range(300)} == {status}


async def test_what_waits_is_not_parsed(service: Service) -> None:
    sink = service.sinks["main"]
    sink.hold()
    many = head("POST", "/v1/orders", [*TYPED.items(), ("Content-Length", "12"), *[("X-A", "b")] * 90]) + GOOD
    async with await service.connect() as connection:
        await connection.send(POST + many * 100)
        await sink.called()
        assert (await service.raw(LIVE)).status == 200
        assert parsed() <= 3, "the one that is answered, and what a client's last one left"
        sink.deliver()
        assert {(await connection.answer()).status for _ in range(101)} == {200}
    assert len(sink.taken) == 101


async def test_what_waits_shares_little_memory_and_the_rest_is_503(service: Service) -> None:
    sink = service.sinks["main"]
    sink.hold()
    behind = request("/v1/orders", b'{"text":"%b"}' % (b"x" * 2_000), TYPED) * 40
    connections = [await service.connect() for _ in range(40)]
    for connection in connections:
        await connection.send(POST + behind)
    await service.until(lambda metrics: metrics.total("penstock_http_requests_open") == 40)
    assert (await service.raw(LIVE)).status == 200
    sink.deliver()
    served = 0
    for connection in connections:
        assert (await connection.answer()).status == 200
        second = await connection.answer()
        if second.status == 200:
            served += 1
            assert {(await connection.answer()).status for _ in range(39)} == {200}
        else:
            assert_problem(second, 503, "busy")
            assert_retry_after(second)
            assert await connection.ended()
        await connection.close()
    assert 0 < served <= HEAD_MEMORY // (len(behind) // 2), "half of it may have come after the first was answered"


@pytest.mark.parametrize("cut", [1, 40, 200, 300])
async def test_what_comes_piece_by_piece_behind_a_request_is_answered_in_order(service: Service, cut: int) -> None:
    sink = service.sinks["main"]
    sink.hold()
    chunks = head("POST", "/v1/orders", {**TYPED, "Transfer-Encoding": "chunked"}) + chunked([GOOD[:5], GOOD[5:]])
    whole = chunks.removesuffix(b"\r\n") + b"X-T: u\r\n\r\n" + LIVE + POST + b"\r\n" + request("/nothing", b"x" * 100)
    async with await service.connect() as connection:
        await connection.send(POST + whole[:cut])
        await sink.called()
        await connection.send(whole[cut:])
        sink.deliver()
        assert [(await connection.answer()).status for _ in range(5)] == [200, 200, 200, 200, 404]
    assert [event.body for event in sink.taken] == [GOOD] * 3


async def test_leave_to_send_a_body_is_given_when_its_turn_comes(service: Service) -> None:
    sink = service.sinks["main"]
    sink.hold()
    async with await service.connect() as connection:
        asking = request("/v1/orders", GOOD, {**TYPED, "Expect": "100-continue"})
        await connection.send(POST + asking.removesuffix(GOOD))
        await sink.called()
        sink.deliver()
        assert (await connection.answer()).status == 200
        assert (await connection.provisional()).status == 100
        await connection.send(GOOD)
        assert (await connection.answer()).status == 200


async def test_what_is_no_http_is_answered_in_its_turn(service: Service) -> None:
    sink = service.sinks["main"]
    sink.hold()
    async with await service.connect() as connection:
        await connection.send(POST)
        await sink.called()
        await connection.send(LIVE + b"\x16\x03\x01\r\n\r\n" + POST)
        sink.deliver()
        assert [(await connection.answer()).status for _ in range(2)] == [200, 200]
        assert_no_http(await connection.answer())
        assert await connection.ended()
    assert len(sink.taken) == 1


async def test_nothing_is_taken_behind_a_request_that_closes(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", GOOD, {**TYPED, "Connection": "close"}) + POST)
        assert (await connection.answer()).status == 200
        assert await connection.ended()
    assert len(service.sinks["main"].taken) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_body_of_an_upgrade_is_taken_for_no_request(service: Service, method: str) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "h2c", "Content-Length": str(len(POST))}
    async with await service.connect() as connection:
        start = head(method, "/livez", headers)
        await connection.send(start)
        assert (await connection.answer()).headers["connection"] == "close"
        await connection.send(POST)
        assert await connection.ended()
    async with await service.connect() as connection:
        await connection.send(start + POST)
        await connection.answer()
        assert await connection.ended()
    assert service.sinks["main"].calls == 0


async def test_what_waits_at_the_end_is_answered() -> None:
    async with running(CONFIGURATION) as service, await service.connect() as connection:
        sink = service.sinks["main"]
        sink.hold()
        await connection.send(POST + POST)
        await sink.called()
        await stopping(service)
        sink.deliver()
        assert (await connection.answer()).status == 200
        assert_problem(await connection.answer(), 503, "draining")
        assert await connection.ended()
        assert await service.running is True


async def test_what_waits_behind_an_answer_that_is_read_slowly_is_answered_at_the_end() -> None:
    text = CONFIGURATION.replace("body_timeout: 1s", "body_timeout: 30s")
    async with running(text) as service, await sipping(service) as connection:
        await connection.send(request("/v1/orders", b"[" + b",".join([b"1"] * 9_000) + b"]") + LIVE * 2)
        await service.until(lambda metrics: 10**6 < metrics.total("penstock_http_body_bytes") < 2 * 10**6)
        service.stop.set()
        async with asyncio.timeout(SECONDS):
            while await taken(service):
                await asyncio.sleep(0.01)
        assert (await connection.answer()).status == 422
        assert [(await connection.answer()).status for _ in range(2)] == [200, 200]
        assert await connection.ended()
        assert await service.running is True
