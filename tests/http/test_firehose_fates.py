"""Firehose as the producer: a request is answered 200 once every record is safe, and not before."""

import asyncio
import gc
from pathlib import Path

import pytest

from service.http.unread import Incoming
from service.receiving.flow import Flow
from tests.http.claims import assert_retry_after
from tests.http.client import connect, head
from tests.http.firehose import CONFIGURATION, assert_form, letters, numbered, numbers, sent
from tests.http.running import ENVIRONMENT, Service, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_nothing_is_answered_before_every_record_is_safe(service: Service) -> None:
    sink = service.sinks["main"]
    sink.hold()
    waiting = asyncio.create_task(sent(service, numbered([1, 2])))
    await sink.called()
    found = await service.until(
        lambda metrics: metrics.total("penstock_source_messages_unsettled", source="stream") == 2
    )
    assert found.total("penstock_http_body_bytes") == 0, "the lanes hold its records, and nobody its body"
    assert not waiting.done()
    sink.deliver()
    assert_form(await waiting, 200)


async def test_a_dead_letter_that_is_not_safe_yet_holds_the_answer_back(service: Service) -> None:
    sink = service.sinks["dead"]
    sink.hold()
    waiting = asyncio.create_task(sent(service, [b"no json"]))
    await sink.called()
    assert not waiting.done()
    sink.deliver()
    assert_form(await waiting, 200)


async def test_a_record_of_which_there_can_be_no_dead_letter_makes_its_request_503(service: Service) -> None:
    answer = await sent(service, [b'{"number":1}', b"x" * 2 * 2**20])
    assert "record 1: there can be no dead letter of it" in assert_form(answer, 503)["errorMessage"]
    assert numbers(service) == [1]
    assert not letters(service)


AWAY = CONFIGURATION.replace("request_timeout: 8s", "request_timeout: 2s").replace(
    "patience: 6s, call_timeout: 3s", "patience: 1s, call_timeout: 500ms"
)


async def test_while_a_sink_is_away_it_is_503_and_a_repeated_request_delivers_nothing_twice() -> None:
    async with running(AWAY) as service:
        sink = service.sinks["main"]
        sink.retry()
        answer = await sent(service, numbered(range(50)), path="/firehose/once")
        assert_form(answer, 503)
        assert_retry_after(answer)
        sink.deliver()
        while (answer := await sent(service, numbered(range(50)), path="/firehose/once")).status == 503:
            assert_form(answer, 503)
        assert_form(answer, 200)
        assert sorted(numbers(service)) == list(range(50))
        assert_form(await sent(service, numbered(range(50)), path="/firehose/once"), 200)
        assert len(numbers(service)) == 50


async def test_what_was_not_handed_over_when_the_time_is_over_never_is() -> None:
    text = AWAY.replace("call_timeout: 500ms", "call_timeout: 500ms, memory: 1MiB")
    async with running(text) as service:
        sink = service.sinks["main"]
        sink.retry()
        large = [b'{"number":%d,"filler":"%s"}' % (number, b"x" * 20_000) for number in range(100)]
        assert_form(await sent(service, large), 503)
        held = (await service.metrics()).total("penstock_lane_events_held", sink="main")
        assert 0 < held < 60
        sink.deliver()
        await service.until(lambda metrics: metrics.total("penstock_lane_events_held") == 0)
        assert sorted(numbers(service)) == list(range(held))


async def test_more_records_than_the_lanes_hold_are_handed_over_as_there_is_room() -> None:
    text = CONFIGURATION.replace("call_timeout: 3s}", "call_timeout: 3s, memory: 1MiB}", 1)
    async with running(text) as service:
        large = [b'{"number":%d,"filler":"%s"}' % (number, b"x" * 20_000) for number in range(140)]
        assert_form(await sent(service, large), 200)
        assert numbers(service) == list(range(140))


async def test_requests_whose_records_wait_beyond_the_memory_of_the_source_are_503_at_once() -> None:
    text = CONFIGURATION.replace("call_timeout: 3s}", "call_timeout: 3s, memory: 1MiB}", 1)
    text = text.replace("max_body: 4MiB, memory: 16MiB", "max_body: 2MiB, memory: 2MiB, max_records: 1000")
    async with running(text) as service:
        sink = service.sinks["main"]
        sink.hold()
        large = [b'{"number":%d,"filler":"%s"}' % (number, b"x" * 20_000) for number in range(70)]
        waiting = asyncio.create_task(sent(service, large))
        await service.until(lambda metrics: metrics.total("penstock_source_waiting_bytes", source="stream") > 700_000)
        answer = await sent(service, large, "another")
        assert "wait for room" in assert_form(answer, 503, "another")["errorMessage"]
        assert_retry_after(answer)
        sink.deliver()
        assert_form(await waiting, 200)


async def test_a_refused_request_leaves_nothing_for_the_garbage_collector(service: Service) -> None:
    gc.collect()
    gc.disable()
    try:
        assert_form(await sent(service, []), 400)
        assert_form(await sent(service, [b"x" * 4 * 2**20]), 400)
        assert_form(await sent(service, [b"x" * 2 * 2**20]), 503)
        await service.idle()
        assert not [each for each in gc.get_objects() if isinstance(each, Incoming)], "nor its body"
    finally:
        gc.enable()


async def test_an_answered_request_leaves_no_flow_behind(service: Service) -> None:
    for number in range(3):
        answer = await sent(service, numbered([number]), f"kept-{number}", "/firehose/once")
        assert_form(answer, 200, f"kept-{number}")
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Flow) and each.name.startswith("kept-")]


async def test_what_is_left_when_the_service_ends_is_503() -> None:
    async with running(CONFIGURATION) as service:
        sink = service.sinks["main"]
        sink.hang()
        waiting = asyncio.create_task(sent(service, numbered([1])))
        await sink.called()
        service.stop.set()
        answer = await waiting
        assert_form(answer, 503)
        assert_retry_after(answer)
        assert await service.running is True, "Firehose has it"


async def test_a_request_under_way_when_the_service_is_told_to_stop_is_answered_200() -> None:
    async with running(CONFIGURATION.replace("drain_timeout: 500ms", "drain_timeout: 10s")) as service:
        sink = service.sinks["main"]
        sink.hold()
        waiting = asyncio.create_task(sent(service, numbered([1])))
        await sink.called()
        service.stop.set()
        async with await connect(service.admin) as admin:
            while True:
                await admin.send(head("GET", "/status", {}))
                if (await admin.answer("GET")).json["phase"] == "draining":
                    break
        sink.deliver()
        assert_form(await waiting, 200)
        assert await service.running is True


async def test_when_the_service_drains_a_request_with_records_that_no_lane_has_is_503_at_once() -> None:
    text = CONFIGURATION.replace("call_timeout: 3s}", "call_timeout: 3s, memory: 1MiB}", 1)
    async with running(text.replace("drain_timeout: 500ms", "drain_timeout: 10s")) as service:
        sink = service.sinks["main"]
        sink.hold()
        large = [b'{"number":%d,"filler":"%s"}' % (number, b"x" * 20_000) for number in range(70)]
        waiting = asyncio.create_task(sent(service, large))
        await service.until(lambda metrics: metrics.total("penstock_source_messages_waiting", source="stream") > 0)
        service.stop.set()
        assert_form(await waiting, 503)
        held = (await service.metrics()).total("penstock_lane_events_held", sink="main")
        assert 0 < held < 70
        sink.deliver()
        assert await service.running is True
        assert numbers(service) == list(range(held))


async def test_until_load_balancers_have_noticed_requests_are_still_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "PENSTOCK__SERVER__DEREGISTER_DELAY", "5s")
    async with running(CONFIGURATION) as service:
        service.stop.set()
        async with await connect(service.url) as public:
            while True:
                await public.send(head("GET", "/readyz", {}))
                if (await public.answer("GET")).status == 503:
                    break
        assert_form(await sent(service, numbered([1])), 200)
        service.now.set()
        assert await service.running is True


async def test_stored_routes_answer_200_too(tmp_path: Path) -> None:
    text = CONFIGURATION.replace("{to: [main], dead_letter: dead}", "{ack: stored, to: [main], dead_letter: dead}", 1)
    text += f"journal: {{path: {tmp_path}, volume: ephemeral, min_free: 0}}\n"
    async with running(text) as service:
        sink = service.sinks["main"]
        sink.hold()
        assert_form(await sent(service, numbered([1, 2])), 200)
        sink.deliver()
        await service.until(lambda _: len(sink.taken) == 2)
        await service.until(lambda metrics: metrics.total("penstock_lane_events_held") == 0)
