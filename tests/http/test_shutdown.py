"""The end of the service's life: what is left is given back, what is on its way is answered."""

import asyncio
from typing import Any

import pytest

from service import gateway
from service.http import turns
from tests.http.claims import assert_problem, assert_retry_after
from tests.http.client import connect, head, request
from tests.http.running import ENVIRONMENT, Service, running

CONFIGURATION = """
server: {memory: 40MiB, request_timeout: 8s, drain_timeout: 15s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s, concurrency: 1}
  dead: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}
routes:
  orders: {to: [main]}
  buried: {to: [main], dead_letter: dead}
"""

GOOD = b'{"number":1}'


async def stopping(service: Service) -> None:
    """Tell the service to stop, and return once it drains."""
    service.stop.set()
    async with asyncio.timeout(30):
        while (await status(service))["phase"] != "draining":
            await asyncio.sleep(0.005)


async def status(service: Service) -> dict[str, Any]:
    """What the admin port's /status says."""
    async with await connect(service.admin) as connection:
        await connection.send(head("GET", "/status", {"Connection": "close"}))
        found: dict[str, Any] = (await connection.answer("GET")).json
        return found


async def test_what_is_left_at_shutdown_is_503_and_retryable() -> None:
    async with running(CONFIGURATION.replace("drain_timeout: 15s", "drain_timeout: 500ms")) as service:
        sink = service.sinks["main"]
        sink.hang()
        on_the_wire = asyncio.create_task(service.post("/v1/orders", GOOD))
        await sink.called()
        waiting = asyncio.create_task(service.post("/v1/buried", GOOD))
        await service.until(lambda metrics: metrics.total("penstock_lane_events_held") == 2)
        service.conserved(await service.metrics())
        service.stop.set()
        called, queued = await on_the_wire, await waiting
        assert await service.running is False
    assert called.status == 503
    [result] = called.results
    assert (result["status"], result["retryable"], result["may_duplicate"]) == ("unknown", True, True)
    assert_retry_after(called)
    assert queued.status == 503
    [result] = queued.results
    assert (result["status"], result["retryable"]) == ("failed", True)
    assert "may_duplicate" not in result
    assert "shutdown" in result["error"]["detail"]
    assert service.sinks["dead"].calls == 0


async def test_many_events_that_are_left_when_it_must_end_at_once_are_each_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateway, "HURRIED_ANSWERS_SECONDS", 0.0)
    events, crowd = 3_000, 10
    body = b"[" + b",".join([b'{"n":%d}' % number for number in range(events)]) + b"]"
    async with running(CONFIGURATION.replace("40MiB", "1GiB")) as service:
        service.sinks["main"].hang()
        sending = [asyncio.create_task(service.post("/v1/orders", body)) for _ in range(crowd)]
        await service.until(lambda metrics: metrics.total("penstock_lane_events_held") == events * crowd)
        await stopping(service)
        monkeypatch.setattr(turns, "PAUSE_TURNS", 10**9)  # no answer is done in its own time
        service.now.set()
        answers = await asyncio.gather(*sending)
        assert await service.running is False
    assert {answer.status for answer in answers} == {503}
    assert {len(answer.results) for answer in answers} == {events}


async def test_what_can_still_be_delivered_is_answered_200() -> None:
    async with running(CONFIGURATION) as service:
        sink = service.sinks["main"]
        sink.hold()
        sending = asyncio.create_task(service.post("/v1/orders", GOOD))
        await sink.called()
        await stopping(service)
        sink.deliver()
        assert (await sending).status == 200
        assert await service.running is True


async def test_a_request_that_arrives_while_draining_is_503_and_takes_nothing() -> None:
    async with running(CONFIGURATION) as service, await service.connect() as connection:
        whole = request("/v1/orders", GOOD)
        await connection.send(whole[:-2])
        await service.until(lambda metrics: metrics.total("penstock_http_requests_open") == 1)
        await stopping(service)
        await connection.send(whole[-2:])
        answer = await connection.answer()
        assert_problem(answer, 503, "draining")
        assert_retry_after(answer)
        assert answer.headers["connection"] == "close"
        assert service.sinks["main"].calls == 0


async def test_a_second_signal_gives_back_at_once() -> None:
    async with running(CONFIGURATION) as service:
        service.sinks["main"].hang()
        sending = asyncio.create_task(service.post("/v1/orders", GOOD))
        await service.sinks["main"].called()
        await stopping(service)
        service.now.set()
        assert (await sending).status == 503
        assert await service.running is False


async def test_an_answer_ends_its_connection_while_load_balancers_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "PENSTOCK__SERVER__DEREGISTER_DELAY", "10s")
    async with running(CONFIGURATION) as service:
        async with await service.connect() as before, await service.connect() as long_way:
            await before.send(request("/v1/orders", GOOD))
            assert "connection" not in (await before.answer()).headers
            await long_way.send(head("GET", "/livez", {}))
            assert "connection" not in (await long_way.answer("GET")).headers
            await stopping(service)
            await before.send(request("/v1/orders", GOOD))
            answer = await before.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await before.ended()
            await long_way.send(head("GET", "/livez", {}))
            answer = await long_way.answer("GET")
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await long_way.ended()
        async with await service.connect() as late:
            await late.send(request("/v1/orders", GOOD) * 2)
            assert "connection" not in (await late.answer()).headers
            assert (await late.answer()).headers["connection"] == "close"
        service.now.set()
        assert await service.running is True
