"""Requests whose head came before on their connection: they are judged anew by all that may have changed."""

import asyncio

import pytest

from service.http.direct import DirectProtocol
from service.http.head import Head
from tests.http.claims import assert_problem
from tests.http.client import JSON, head, request
from tests.http.running import Service

CONFIGURATION = """
server: {memory: 40MiB, max_body: 1KiB, max_requests: 2, body_timeout: 3s, request_timeout: 10s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}
routes:
  orders: {to: [main]}
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = b'{"number":1}'
LARGE = b'{"text":"' + b"x" * 2000 + b'"}'


async def test_a_head_that_came_before_is_not_parsed_again(
    service: Service, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bool] = []
    take = DirectProtocol._take

    def counted(self: DirectProtocol, head: Head, body: bytes) -> bool:
        taken.append(take(self, head, body))
        return taken[-1]

    monkeypatch.setattr(DirectProtocol, "_take", counted)
    async with await service.connect() as connection:
        for _ in range(2):
            await connection.send(request("/v1/orders", GOOD))
            assert (await connection.answer()).status == 200
    assert taken == ([True] if way == "short" else [])


async def test_each_body_is_answered_for_itself(service: Service) -> None:
    async with await service.connect() as connection:
        for body, status in ((GOOD, 200), (GOOD, 200), (b"{", 400), (b"[1]", 422), (b'[{"a":1},2]', 207), (GOOD, 200)):
            await connection.send(request("/v1/orders", body))
            assert (await connection.answer()).status == status
    metrics = await service.idle()
    assert metrics.total("penstock_events_received_total") >= 6


async def test_a_body_beyond_its_limit_is_413(service: Service) -> None:
    async with await service.connect() as connection:
        for _ in range(2):
            await connection.send(request("/v1/orders", GOOD))
            assert (await connection.answer()).status == 200
        await connection.send(request("/v1/orders", LARGE))
        assert_problem(await connection.answer(), 413, "body_too_large")


async def test_a_request_too_many_is_503(service: Service) -> None:
    sink = service.sinks["main"]
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", GOOD))
        assert (await connection.answer()).status == 200
        sink.hold()
        others = [asyncio.create_task(service.post("/v1/orders", GOOD)) for _ in range(2)]
        await service.until(lambda metrics: metrics.total("penstock_http_requests_open") == 2)
        await connection.send(request("/v1/orders", GOOD))
        assert_problem(await connection.answer(), 503, "busy")
        sink.deliver()
        assert [answer.status for answer in await asyncio.gather(*others)] == [200, 200]


async def test_a_body_that_comes_later_or_never_is_waited_for(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", GOOD))
        assert (await connection.answer()).status == 200
        begun = head("POST", "/v1/orders", {"Content-Type": JSON, "Content-Length": str(len(GOOD))})
        for first in (begun, begun + GOOD[:3], begun[:20]):
            await connection.send(first)
            await asyncio.sleep(0.02)
            await connection.send((begun + GOOD)[len(first) :])
            assert (await connection.answer()).status == 200
        await connection.send(begun)
        assert_problem(await connection.answer(), 408, "client_timeout")


async def test_requests_behind_it_in_one_piece_are_answered_in_their_order(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", GOOD))
        assert (await connection.answer()).status == 200
        await connection.send(request("/v1/orders", GOOD) + request("/v1/nothing", GOOD) + request("/v1/orders", b"{"))
        assert [(await connection.answer()).status for _ in range(3)] == [200, 404, 400]


async def test_what_is_no_http_behind_it_is_400(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", GOOD))
        assert (await connection.answer()).status == 200
        await connection.send(b"\x16\x03\x01" + request("/v1/orders", GOOD))
        assert_problem(await connection.answer(), 400, "malformed_header")
        assert await connection.ended()
