"""How events may be written, what identity they get, and how the answer follows what the producer preferred."""

import gzip
import json
import re

import pytest
import zstandard

from service.http.ingest import LARGE_BYTES
from tests.http.client import JSON
from tests.http.running import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
server: {memory: 40MiB, request_timeout: 10s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}
  other: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}
routes:
  orders: {types: [com.example.order.*], schema: {type: jsonschema, file: number.json}, key: /number, to: [main]}
  returns: {types: [com.example.order.return.*], to: [other]}
  one: {types: [com.example.order.return.single], to: [other]}
  named: {id: /number, to: [main]}
"""

FILES = {"number.json": '{"type": "object", "required": ["number"], "properties": {"number": {"type": "integer"}}}'}

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
LINES = "application/x-ndjson"
ENVELOPE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def cloudevent(number: object = 1, type: str = "com.example.order.placed", **more: object) -> dict[str, object]:
    """A structured CloudEvent with the id `e<number>`."""
    head = {"specversion": "1.0", "id": f"e{number}", "source": "/shop", "type": type}
    return {**head, **more, "data": {"number": number}}


def encoded(value: object) -> bytes:
    """`value` in JSON."""
    return json.dumps(value).encode()


async def test_an_object_is_delivered_byte_for_byte(service: Service) -> None:
    body = b'{ "number" : 1.0e0,\t"text":"\\u00e9\xc3\xa9" }'
    answer = await service.post("/v1/orders", body)
    assert answer.status == 200, answer.body
    [event] = service.sinks["main"].taken
    assert (event.body, event.content_type, event.key) == (body, JSON, "1.0")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b'[{"number":0}, {"number":1},\n{"number":2}]'),
        ("application/json; charset=UTF-8", b' [{"number":0},{"number":1},{"number":2}]'),
        ("application/vnd.shop+json", b'[{"number":0},{"number":1},{"number":2}]'),
        (LINES, b'{"number":0}\n{"number":1}\r\n\n{"number":2}'),
        ("application/jsonl", b'{"number":0}\n{"number":1}\n{"number":2}\n'),
    ],
)
async def test_many_events_keep_their_order_and_their_bytes(service: Service, content_type: str, body: bytes) -> None:
    answer = await service.post("/v1/orders", body, content_type=content_type)
    assert answer.status == 200
    assert [result["index"] for result in answer.results] == [0, 1, 2]
    taken = service.sinks["main"].taken
    assert [event.body for event in taken] == [b'{"number":0}', b'{"number":1}', b'{"number":2}']
    assert [result["id"] for result in answer.results] == [event.id for event in taken]


async def test_a_structured_cloudevent_keeps_its_identity(service: Service) -> None:
    body = encoded(cloudevent(7, subject="a"))
    answer = await service.post("/v1/orders", body, content_type=ENVELOPE)
    assert answer.results == [{"index": 0, "id": "e7", "status": "delivered", "retryable": False}]
    [event] = service.sinks["main"].taken
    assert (event.id, event.body, event.content_type) == ("e7", body, ENVELOPE)
    assert event.attributes["source"] == "/shop"
    assert event.attributes["subject"] == "a"


async def test_a_batch_of_cloudevents_is_answered_one_by_one(service: Service) -> None:
    broken = cloudevent("x")
    answer = await service.post("/v1/orders", encoded([cloudevent(1), broken, cloudevent(2)]), content_type=BATCH)
    assert answer.status == 207
    assert [(result["id"], result["status"]) for result in answer.results] == [
        ("e1", "delivered"),
        ("ex", "invalid"),
        ("e2", "delivered"),
    ]
    assert [event.id for event in service.sinks["main"].taken] == ["e1", "e2"]


async def test_binary_mode_takes_the_attributes_from_headers(service: Service) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "caf%C3%A9",
        "ce-source": "/shop",
        "ce-type": "com.example.order.placed",
        "ce-tenant": "t1",
    }
    answer = await service.post("/v1/orders", b'{"number":1}', headers)
    assert answer.status == 200
    [event] = service.sinks["main"].taken
    assert (event.id, event.body, event.content_type) == ("caf\u00e9", b'{"number":1}', JSON)
    assert event.attributes["tenant"] == "t1"
    assert answer.results[0]["id"] == "caf\u00e9"


async def test_what_is_wrong_with_an_envelope_is_listed(service: Service) -> None:
    answer = await service.post("/v1/orders", encoded(cloudevent(1, type="", time="yesterday")), content_type=ENVELOPE)
    assert answer.status == 422
    assert answer.code == "invalid_cloudevent"
    assert {error["pointer"] for error in answer.results[0]["error"]["errors"]} == {"#/type", "#/time"}


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_compressed_bodies_are_taken(service: Service, encoding: str) -> None:
    body = b"\n".join(b'{"number":%d}' % number for number in range(1000))
    packed = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    answer = await service.post("/v1/orders", packed, {"Content-Encoding": encoding}, LINES)
    assert answer.status == 200
    assert [event.body for event in service.sinks["main"].taken] == body.split(b"\n")


@pytest.mark.parametrize(
    ("type", "route"),
    [
        ("com.example.order.placed", "orders"),
        ("com.example.order.return.asked", "returns"),
        ("com.example.order.return.single", "one"),
        ("com.example.order.return.single.more", "returns"),
    ],
)
async def test_events_go_by_type_and_the_longest_prefix_wins(service: Service, type: str, route: str) -> None:
    answer = await service.post("/v1/events", encoded(cloudevent(1, type=type)), content_type=ENVELOPE)
    assert answer.status == 200
    [event] = service.sinks["main"].taken + service.sinks["other"].taken
    assert event.route == route


async def test_404_for_a_type_that_no_route_takes(service: Service) -> None:
    answer = await service.post("/v1/events", encoded(cloudevent(1, type="org.other")), content_type=ENVELOPE)
    assert answer.status == 404
    assert answer.code == "no_route_for_type"


async def test_an_event_without_a_type_cannot_be_routed_by_it(service: Service) -> None:
    answer = await service.post("/v1/events", b'{"number":1}')
    assert (answer.status, answer.code) == (404, "no_route_for_type")


async def test_a_mixed_batch_by_type_is_routed_event_by_event(service: Service) -> None:
    types = ["com.example.order.placed", "org.other", "com.example.order.return.asked"]
    batch = [cloudevent(number, type=type) for number, type in enumerate(types)]
    answer = await service.post("/v1/events", encoded(batch), content_type=BATCH)
    assert answer.status == 207
    assert [result["status"] for result in answer.results] == ["delivered", "invalid", "delivered"]


async def test_without_any_identity_an_event_gets_a_uuid7(service: Service) -> None:
    first = await service.post("/v1/orders", b'{"number":1}')
    second = await service.post("/v1/orders", b'{"number":1}')
    ids = [first.results[0]["id"], second.results[0]["id"]]
    assert all(UUID7.fullmatch(each) for each in ids)
    assert ids[0] != ids[1]


@pytest.mark.parametrize("key", ["order-1", '"order-1"', ' "order-1" '])
@pytest.mark.parametrize("blank", [b"", b" " * LARGE_BYTES])
async def test_an_idempotency_key_names_the_event(service: Service, key: str, blank: bytes) -> None:
    for _ in range(2):
        answer = await service.post("/v1/orders", b'{"number":1}' + blank, {"Idempotency-Key": key})
        assert answer.results[0]["id"] == "order-1"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [(JSON, b'\n [{"number":1},{"number":2}]'), (LINES, b'{"number":1}\n{"number":2}')],
)
async def test_in_a_batch_the_key_counts_the_events(service: Service, content_type: str, body: bytes) -> None:
    answer = await service.post("/v1/orders", body, {"Idempotency-Key": "k"}, content_type)
    assert [result["id"] for result in answer.results] == ["k/0", "k/1"]


@pytest.mark.parametrize("blank", [b"", b" " * LARGE_BYTES])
@pytest.mark.parametrize(("content_type", "body"), [(JSON, b' [{"number":1}]'), (LINES, b'{"number":1}')])
async def test_a_batch_of_one_is_a_batch(service: Service, content_type: str, body: bytes, blank: bytes) -> None:
    answer = await service.post("/v1/orders", body + blank, {"Idempotency-Key": "k"}, content_type)
    assert [result["id"] for result in answer.results] == ["k/0"]


async def test_the_position_in_a_batch_counts_what_is_invalid_too(service: Service) -> None:
    answer = await service.post("/v1/orders", b'[{"number":"x"},{"number":2}]', {"Idempotency-Key": "k"})
    assert answer.results[1]["id"] == "k/1"


async def test_the_routes_id_goes_before_the_key(service: Service) -> None:
    answer = await service.post("/v1/named", b'{"number":42}', {"Idempotency-Key": "k"})
    assert answer.results[0]["id"] == "42"
    answer = await service.post("/v1/named", b"{}", {"Idempotency-Key": "k"})
    assert answer.results[0]["id"] == "k"


async def test_the_envelopes_id_goes_before_all(service: Service) -> None:
    answer = await service.post("/v1/named", encoded(cloudevent(3)), {"Idempotency-Key": "k"}, ENVELOPE)
    assert answer.results[0]["id"] == "e3"


async def test_strict_handling_takes_all_or_nothing(service: Service) -> None:
    body = b'[{"number":1},{"number":"x"},{"number":3}]'
    answer = await service.post("/v1/orders", body, {"Prefer": "handling=strict"})
    assert answer.status == 422
    assert answer.headers["preference-applied"] == "handling=strict"
    assert [result["status"] for result in answer.results] == ["failed", "invalid", "failed"]
    assert [result["error"]["code"] for result in answer.results] == [
        "strict_refused",
        "schema_violation",
        "strict_refused",
    ]
    assert [result["retryable"] for result in answer.results] == [True, False, True]
    assert service.sinks["main"].calls == 0


async def test_strict_handling_of_valid_events_delivers_them(service: Service) -> None:
    answer = await service.post("/v1/orders", b'[{"number":1},{"number":2}]', {"Prefer": "handling=strict"})
    assert answer.status == 200
    assert len(service.sinks["main"].taken) == 2


async def test_a_minimal_answer_lists_only_what_is_not_safe(service: Service) -> None:
    body = b'[{"number":1},{"number":"x"},{"number":3}]'
    answer = await service.post("/v1/orders", body, {"Prefer": "return=minimal"})
    assert answer.status == 207
    assert answer.headers["preference-applied"] == "return=minimal"
    assert [(result["index"], result["status"]) for result in answer.results] == [(1, "invalid")]
    answer = await service.post("/v1/orders", b'{"number":1}', {"Prefer": "return=minimal"})
    assert answer.status == 200
    assert answer.json == {"request_id": answer.headers["x-request-id"], "failed": 0, "retryable": 0, "results": []}


@pytest.mark.parametrize(
    "prefer", ["handling=strict, return=minimal", 'respond-async; wait=10, HANDLING="strict" ; x=1, return = minimal']
)
async def test_both_preferences_hold_together(service: Service, prefer: str) -> None:
    answer = await service.post("/v1/orders", b'[{"number":1},{"number":"x"}]', {"Prefer": prefer})
    assert answer.status == 422
    assert answer.headers["preference-applied"] == "handling=strict, return=minimal"
    assert service.sinks["main"].calls == 0


async def test_unknown_preferences_are_ignored(service: Service) -> None:
    answer = await service.post("/v1/orders", b'{"number":1}', {"Prefer": "wait=10, handling=lenient, return=full"})
    assert answer.status == 200
    assert "preference-applied" not in answer.headers
