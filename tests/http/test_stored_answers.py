"""What is answered on routes with `ack: stored`: 202 once the disk has the events, whatever becomes of destinations."""

import json

import pytest

from tests.http.claims import assert_retry_after
from tests.http.running import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
server: {memory: 40MiB, request_timeout: 3s, drain_timeout: 1s}
journal: {path: journal, volume: ephemeral, max_bytes: 16MiB, min_free: 0}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 900ms, call_timeout: 400ms}
  dead: {type: "tests.http.scripted:Scripted", patience: 900ms, call_timeout: 400ms}
routes:
  plain: {types: [plain], to: [main]}
  orders: {ack: stored, types: [order], schema: {type: jsonschema, file: order.json}, to: [main], dead_letter: dead}
"""
FILES = {"order.json": '{"type": "object", "properties": {"number": {"type": "integer"}}}'}


async def test_stored_events_are_answered_202_and_arrive(service: Service) -> None:
    answer = await service.post("/v1/orders", b'[{"number":1},{"number":2}]')
    assert answer.status == 202
    assert [(result["status"], result["retryable"]) for result in answer.results] == [("stored", False)] * 2
    found = await service.until(lambda m: m.total("penstock_lane_events_settled_total", outcome="delivered") == 2)
    assert found.total("penstock_journal_events_stored_total", route="orders") == 2
    assert {event.id for event in service.sinks["main"].taken} == {result["id"] for result in answer.results}


async def test_a_destination_that_is_away_changes_no_answer(service: Service) -> None:
    service.sinks["main"].retry()
    assert (await service.post("/v1/orders", b'{"number":3}')).status == 202
    assert (await service.post("/v1/plain", b'{"number":3}')).status == 503
    await service.until(lambda m: m.total("penstock_journal_events_waiting", sink="main", route="orders") == 1)
    service.sinks["main"].deliver()
    await service.until(lambda m: m.total("penstock_journal_events_waiting", route="orders") == 0)


async def test_an_invalid_event_is_refused_and_not_stored(service: Service) -> None:
    answer = await service.post("/v1/orders", b'[{"number":"four"},{"number":5}]')
    assert answer.status == 207
    assert [result["status"] for result in answer.results] == ["invalid", "stored"]


async def test_a_request_to_routes_of_both_kinds_is_answered_once_all_is_safe(service: Service) -> None:
    common: dict[str, object] = {"specversion": "1.0", "source": "/s", "data": {}}
    events = [common | {"id": each, "type": each} for each in ("order", "plain")]
    body = json.dumps(events).encode()
    answer = await service.post("/v1/events", body, content_type="application/cloudevents-batch+json")
    assert (answer.status, [result["status"] for result in answer.results]) == (202, ["stored", "delivered"])


async def test_a_full_journal_is_busy_and_not_ready_until_it_has_room(service: Service) -> None:
    service.sinks["main"].retry()
    big = b'{"number":6,"note":"' + b"x" * 700_000 + b'"}'
    while (answer := await service.post("/v1/orders", big)).status == 202:
        pass
    assert (answer.status, answer.code) == (503, "busy")
    assert_retry_after(answer)
    full = await service.until(lambda m: m.total("penstock_journal_trouble") == 1)
    assert full.total("penstock_journal_used_bytes") >= full.total("penstock_journal_max_bytes") == 16 * 2**20
    answer = await service.post("/v1/orders", b'{"number":7}')
    assert "the journal takes nothing now: it has" in answer.json["detail"]
    service.sinks["main"].deliver()
    await service.until(lambda m: m.total("penstock_journal_trouble") == 0)
    assert (await service.post("/v1/orders", b'{"number":7}')).status == 202
    await service.until(lambda m: m.total("penstock_journal_events_waiting", route="orders") == 0)
