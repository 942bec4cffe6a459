"""What becomes of an event, cell by cell: the fate table's column "HTTP, ack: delivered" (design section 4)."""

import asyncio
import json
from typing import Any

import pytest

from service.event import Event
from service.outcome import Reason
from tests.http.claims import assert_problem, assert_retry_after
from tests.http.client import Answer
from tests.http.running import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
server: {memory: 40MiB, request_timeout: 3s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 2s, call_timeout: 1s, memory: 64KiB}
  mirror: {type: "tests.http.scripted:Scripted", patience: 2s, call_timeout: 1s}
  lake: {type: "tests.http.scripted:Scripted", patience: 2s, call_timeout: 1s, memory: 64KiB, largest: 1KiB}
  dead: {type: "tests.http.scripted:Scripted", patience: 2s, call_timeout: 1s, memory: 256KiB}
routes:
  orders: {schema: {type: jsonschema, file: order.json}, to: [main]}
  buried: {schema: {type: jsonschema, file: order.json}, to: [main], dead_letter: {sink: dead, invalid: true}}
  both: {to: [main, mirror], dead_letter: dead}
  loose: {to: [main, {sink: lake, required: false}], dead_letter: dead}
"""

FILES = {"order.json": '{"type": "object", "properties": {"number": {"type": "integer"}}}'}

GOOD = b'{"number":1}'
BAD = b'{"number":"one"}'


def letters(service: Service) -> list[dict[str, Any]]:
    """The dead letters that were written."""
    return [json.loads(event.body) for event in service.sinks["dead"].taken]


def fate(answer: Answer) -> dict[str, Any]:
    """The only result."""
    [result] = answer.results
    return result


# --- invalid against the schema: 422, not retryable; a copy to the dead letters with `dead_letter: {invalid: true}`


async def test_invalid_is_422_and_leaves_no_copy(service: Service) -> None:
    answer = await service.post("/v1/orders", BAD)
    result = fate(answer)
    assert (answer.status, result["status"], result["retryable"]) == (422, "invalid", False)
    assert "dead_lettered" not in result["error"]
    assert "retry-after" not in answer.headers
    assert not letters(service)


async def test_invalid_leaves_a_copy_where_the_route_keeps_them(service: Service) -> None:
    answer = await service.post("/v1/buried", BAD, {"X-Request-Id": "trace-7"})
    assert answer.status == 422
    assert fate(answer)["error"]["dead_lettered"] is True
    [letter] = letters(service)
    assert (letter["body"], letter["reason"], letter["route"]) == (BAD.decode(), "invalid", "buried")
    assert (letter["request_id"], letter["producer"]) == ("trace-7", "127.0.0.1")
    assert letter["errors"][0]["pointer"] == "#/number"


async def test_the_answer_names_an_invalid_event_as_its_dead_letter_does(service: Service) -> None:
    named = fate(await service.post("/v1/buried", BAD, {"Idempotency-Key": "k-1"}))
    nameless = fate(await service.post("/v1/buried", BAD))
    assert named["id"] == "k-1"
    assert [named["id"], nameless["id"]] == [letter["id"] for letter in letters(service)]


async def test_a_copy_that_is_not_safe_is_not_claimed(service: Service) -> None:
    service.sinks["dead"].hang()
    answer = await service.post("/v1/buried", BAD)
    assert answer.status == 422
    assert "dead_lettered" not in fate(answer)["error"]
    service.sinks["dead"].deliver()


async def test_an_event_too_large_for_its_dead_letter_leaves_no_copy(service: Service) -> None:
    limit = service.config.max_event["buried"]
    answer = await service.post("/v1/buried", b'{"number":1,"x":"' + b"y" * limit + b'"}')
    assert (answer.status, fate(answer)["error"]["code"]) == (413, "event_too_large")
    assert "dead_lettered" not in fate(answer)["error"]
    assert service.sinks["dead"].calls == 0


# --- rejected by a required lane: 422, not retryable, plus a dead letter where configured


async def test_a_rejected_event_is_422(service: Service) -> None:
    service.sinks["main"].reject()
    answer = await service.post("/v1/orders", GOOD)
    result = fate(answer)
    assert (answer.status, result["status"], result["retryable"]) == (422, "rejected", False)
    assert result["error"]["code"] == "rejected_by_sink"
    assert "main" in result["error"]["detail"]
    assert "dead_lettered" not in result["error"]
    assert service.sinks["main"].calls == 1


async def test_a_rejected_event_goes_to_the_dead_letters(service: Service) -> None:
    service.sinks["main"].reject()
    answer = await service.post("/v1/buried", GOOD)
    assert answer.status == 422
    assert fate(answer)["error"]["dead_lettered"] is True
    [letter] = letters(service)
    assert (letter["body"], letter["sink"], letter["reason"]) == (GOOD.decode(), "main", "refused_content")
    assert letter["attempts"] == 1


async def test_a_rejection_is_answered_in_time_though_the_dead_letters_are_down(service: Service) -> None:
    service.sinks["main"].reject()
    service.sinks["dead"].retry()
    answer = await service.post("/v1/buried", GOOD)
    result = fate(answer)
    assert (answer.status, result["status"], result["retryable"]) == (422, "rejected", False)
    assert "dead_lettered" not in result["error"]
    service.sinks["dead"].deliver()


async def test_422_says_where_an_event_is_all_the_same(service: Service) -> None:
    service.sinks["main"].reject()
    answer = await service.post("/v1/both", GOOD)
    result = fate(answer)
    assert (answer.status, result["status"]) == (422, "rejected")
    assert result["sinks"] == {"main": "rejected", "mirror": "delivered"}
    assert result["may_duplicate"] is True
    assert len(service.sinks["mirror"].taken) == 1


# --- patience over: 503, retryable; never dead-lettered


async def test_patience_over_is_503_and_never_a_dead_letter(service: Service) -> None:
    service.sinks["main"].retry(Reason.THROTTLED)
    answer = await service.post("/v1/buried", GOOD)
    result = fate(answer)
    assert (answer.status, result["status"], result["retryable"]) == (503, "failed", True)
    assert_retry_after(answer)
    assert "may_duplicate" not in result
    assert "sinks" not in result
    assert not letters(service)


async def test_503_says_where_an_event_is_all_the_same(service: Service) -> None:
    service.sinks["main"].retry()
    answer = await service.post("/v1/both", GOOD)
    result = fate(answer)
    assert (answer.status, result["status"], result["retryable"]) == (503, "failed", True)
    assert result["sinks"] == {"main": "failed", "mirror": "delivered"}
    assert result["may_duplicate"] is True


async def test_what_fails_once_is_delivered_within_patience(service: Service) -> None:
    sink = service.sinks["main"]
    sink.retry()
    sending = asyncio.create_task(service.post("/v1/orders", GOOD))
    await sink.called()
    sink.deliver()
    assert (await sending).status == 200
    assert sink.calls == 2


# --- a call timed out: 503, retryable, may_duplicate


async def test_a_call_that_times_out_is_503_and_may_duplicate(service: Service) -> None:
    service.sinks["main"].hang()
    answer = await service.post("/v1/buried", GOOD)
    result = fate(answer)
    assert (answer.status, result["status"], result["retryable"]) == (503, "unknown", True)
    assert result["may_duplicate"] is True
    assert result["error"]["code"] == "delivery_unknown"
    assert_retry_after(answer)
    assert not letters(service)


async def test_a_sink_that_raises_may_have_written(service: Service) -> None:
    service.sinks["main"].fail(ConnectionResetError("a secret of the driver"))
    answer = await service.post("/v1/orders", GOOD)
    result = fate(answer)
    assert (answer.status, result["status"], result["may_duplicate"]) == (503, "unknown", True)
    assert b"a secret" not in answer.body


async def test_unknown_and_delivered_are_told_apart(service: Service) -> None:
    service.sinks["mirror"].hang()
    answer = await service.post("/v1/both", GOOD)
    assert answer.status == 503
    assert fate(answer)["sinks"] == {"main": "delivered", "mirror": "unknown"}


# --- mixed fates


async def test_each_event_of_a_batch_has_its_own_fate(service: Service) -> None:
    def refused(event: Event) -> bool:
        return event.body == b'{"number":2}'

    service.sinks["main"].reject(refused)
    answer = await service.post("/v1/buried", b'[{"number":1},{"number":2},{"number":"x"}]')
    assert answer.status == 207
    assert [result["status"] for result in answer.results] == ["delivered", "rejected", "invalid"]
    assert [result.get("error", {}).get("dead_lettered") for result in answer.results] == [None, True, True]
    assert (answer.json["failed"], answer.json["retryable"]) == (2, 0)
    assert {letter["reason"] for letter in letters(service)} == {"refused_content", "invalid"}


# --- best effort: never holds back an answer


@pytest.mark.parametrize("trouble", ["hang", "retry", "reject"])
async def test_a_best_effort_sink_never_holds_back_an_answer(service: Service, trouble: str) -> None:
    getattr(service.sinks["lake"], trouble)()
    answer = await service.post("/v1/loose", GOOD)
    assert answer.status == 200
    if trouble == "hang":
        assert (await service.metrics()).total("penstock_lane_events_held", sink="lake") == 1
    await service.until(lambda metrics: metrics.total("penstock_lane_events_held", sink="lake") == 0)
    [letter] = letters(service)
    assert (letter["sink"], letter["body"]) == ("lake", GOOD.decode())


async def test_what_a_best_effort_sink_could_never_take_goes_to_the_dead_letters(service: Service) -> None:
    answer = await service.post("/v1/loose", b'{"x":"' + b"y" * 2000 + b'"}')
    assert answer.status == 200
    await service.until(lambda metrics: metrics.total("penstock_lane_events_held") == 0)
    assert [letter["reason"] for letter in letters(service)] == ["too_large"]


async def test_a_full_best_effort_lane_leaves_the_required_one_alone(service: Service) -> None:
    service.sinks["lake"].hang()
    batch = b"[" + b",".join([b'{"x":"' + b"y" * 900 + b'"}'] * 35) + b"]"
    for _ in range(2):
        assert (await service.post("/v1/loose", batch)).status == 200
    found = await service.until(lambda metrics: metrics.total("penstock_lane_events_held") == 0)
    assert found.total("penstock_lane_events_settled_total", sink="lake", reason="lane_full") > 0


# --- busy: nothing is taken anywhere


async def test_a_full_required_lane_refuses_for_all_lanes(service: Service) -> None:
    main = service.sinks["main"]
    main.hold()
    held = asyncio.create_task(service.post("/v1/orders", b'{"x":"' + b"y" * 60_000 + b'"}'))
    await main.called()
    before = await service.metrics()
    answer = await service.post("/v1/both", b'{"x":"' + b"y" * 4200 + b'"}')
    assert_problem(answer, 503, "busy")
    assert service.sinks["mirror"].calls == 0
    main.deliver()
    assert (await held).status == 200
    after = await service.metrics()
    name = "penstock_events_rejected_total"
    assert after.total(name, route="both", reason="busy") == before.total(name, route="both", reason="busy") + 1
