"""Envelopes of databases: what identifies a change, what orders it, and what is no change at all."""

from typing import Any

import orjson
import pytest

from service.codecs.draft import Caps, Draft
from service.envelopes.contract import Message, Skip, SkipReason
from service.envelopes.timestamp import MICROSECONDS, MILLISECONDS, SECONDS, likely_unit, rfc3339
from tests.contract.goldens import build
from tests.unit.test_envelope_cloudevents import decoded, draft, reason

ROW: dict[str, Any] = {
    "data": {"id": 7, "name": "a"},
    "metadata": {"record-type": "data", "operation": "update", "schema-name": "s"},
}
CHANGE: dict[str, Any] = {
    "before": None,
    "after": {"id": 7},
    "source": {"connector": "mysql", "name": "db", "ts_ms": 1754630400000, "file": "f.1", "pos": 7, "table": "t"},
    "op": "c",
    "ts_ms": 1754630400123,
}
RECORD = {"eventID": "e", "eventName": "REMOVE", "dynamodb": {"Keys": {"b": {"S": "x"}, "a": {"N": "1"}}}}


def of(value: Any, key: str | None = None) -> Message:
    return Message(orjson.dumps(value), {}, key)


def dms(key: str | None = None, **metadata: Any) -> Draft:
    named = {name.replace("_", "-"): value for name, value in metadata.items()}
    return draft("dms", of(ROW | {"metadata": ROW["metadata"] | named}, key))


def test_a_row_without_transaction_details_has_no_identity() -> None:
    found = dms(transaction_id=7)
    assert (dict(found.attributes), found.data) == ({}, ROW["data"])


def test_each_record_of_a_transaction_is_another_event() -> None:
    ids = {dms(transaction_id=7, transaction_record_id=record).attributes["id"] for record in (1, 2, "3")}
    assert ids == {"7/1//update", "7/2//update", "7/3//update"}


def test_a_row_without_a_commits_time_has_that_of_its_message() -> None:
    details: dict[str, Any] = {"transaction_id": "x", "transaction_record_id": 1, "timestamp": "2026-01-31T12:00:00Z"}
    assert dms(**details).attributes["time"] == "2026-01-31T12:00:00Z"
    assert "time" not in dms(**details | {"timestamp": "yesterday"}).attributes


def test_a_primary_key_has_its_table_before_it() -> None:
    primary = {"table_name": "t", "partition_key_type": "primary-key"}
    assert dms("k", **primary).key == "s.t.k"
    assert dms("k", **primary, partition_key_value=7).key == "s.t.7"
    assert dms("k", **primary, partition_key_value="s.t.7").key == "s.t.7"
    assert dms("k", partition_key_type="schema-table").key == "k"
    assert dms(**primary).key is None


def test_a_tables_name_is_encoded_in_the_source() -> None:
    found = dms(transaction_id=1, transaction_record_id=1, table_name="a b/ü")
    assert found.attributes["source"] == "/dms/s/a%20b%2F%C3%BC"


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"record-type": "other"}, "record-type"),
        ({"record-type": "data", "operation": "upsert"}, "operation"),
        ({}, "record-type"),
        (7, "record-type"),
    ],
)
def test_a_dms_record_of_no_known_kind_is_refused(metadata: Any, says: str) -> None:
    assert says in reason("dms", of({"data": {}, "metadata": metadata}))
    assert "`data` must be an object" in reason("dms", of(ROW | {"data": 7}))


def test_control_records_are_passed_over_in_both_forms() -> None:
    assert decoded("dms", of({"control": {}, "metadata": {"record-type": "control"}})) == Skip(SkipReason.CONTROL)
    assert decoded("dms", of({"RecordType": "control", "Operation": "drop-table"})) == Skip(SkipReason.CONTROL)


def test_a_before_image_is_delivered_beside_the_row() -> None:
    message = of(ROW | {"before-image": {"id": 6}})
    found = draft("dms", message)
    assert (found.body, found.data) == (message.value, ROW["data"])


def test_an_items_keys_order_its_changes_whatever_their_order() -> None:
    found = draft("dynamodb", of(RECORD, "k"))
    assert found.key == '{"a":{"N":"1"},"b":{"S":"x"}}'
    assert found.attributes["type"] == "dynamodb.REMOVE"
    assert draft("dynamodb", of(RECORD | {"dynamodb": {"SizeBytes": 1}}, "k")).key == "k"


@pytest.mark.parametrize("change", [{"eventID": ""}, {"eventName": "DROP"}, {"dynamodb": []}, {"eventID": "\x00"}])
def test_a_record_of_no_stream_is_refused(change: dict[str, Any]) -> None:
    assert reason("dynamodb", of(RECORD | change))


@pytest.mark.parametrize(
    ("ticks", "unit", "text"),
    [
        (1479499740, SECONDS, "2016-11-18T20:09:00Z"),
        (1479499740.9, SECONDS, "2016-11-18T20:09:00Z"),
        (1719347890250, MILLISECONDS, "2024-06-25T20:38:10.250Z"),
        (1719347890250047, MICROSECONDS, "2024-06-25T20:38:10.250047Z"),
        ("1719347890250", MILLISECONDS, "2024-06-25T20:38:10.250Z"),
        (-1, SECONDS, None),
        (True, SECONDS, None),
        (10**30, MICROSECONDS, None),
        (None, SECONDS, None),
    ],
)
def test_a_time_is_as_precise_as_its_unit(ticks: Any, unit: int, text: str | None) -> None:
    assert rfc3339(ticks, unit) == text
    assert likely_unit(ticks) == unit or text is None


def test_the_precision_that_is_named_goes_before_the_likely_one() -> None:
    change = {"ApproximateCreationDateTime": 99_000_000_000, "ApproximateCreationDateTimePrecision": "MILLISECOND"}
    assert draft("dynamodb", of(RECORD | {"dynamodb": change})).attributes["time"] == "1973-02-19T20:00:00.000Z"


def identity(change: dict[str, Any], key: str | None = "k") -> str:
    return draft("debezium", of(change, key)).attributes.get("id", "")


def test_a_change_that_is_written_again_is_the_same_event() -> None:
    again = CHANGE | {"ts_ms": 9, "source": CHANGE["source"] | {"version": "9", "snapshot": "last", "sequence": "[]"}}
    assert identity(CHANGE) == identity(again) == identity({"schema": {}, "payload": CHANGE})


@pytest.mark.parametrize(
    "other",
    [
        {"op": "u"},
        {"after": {"id": 8}},
        {"source": CHANGE["source"] | {"pos": 8}},
        {"source": CHANGE["source"] | {"ts_ms": 1}},
        {"transaction": {"id": "x", "total_order": 1}},
    ],
)
def test_another_change_is_another_event(other: dict[str, Any]) -> None:
    assert identity(CHANGE) != identity(CHANGE | other)
    assert identity(CHANGE) != identity(CHANGE, "other")


def test_a_change_of_a_table_without_a_primary_key_has_no_identity() -> None:
    assert identity(CHANGE, None) == ""
    assert identity(CHANGE | {"transaction": {"id": "x", "total_order": 1}}, None)
    assert identity(CHANGE | {"op": "t"}, None)


@pytest.mark.parametrize(
    ("key", "ordered_by"),
    [
        ('{"schema":{"type":"struct"},"payload":{"id":12345678901234567890123}}', '{"id":12345678901234567890123}'),
        ('{"schema":null,"payload":null}', None),
        ('{"id":1}', '{"id":1}'),
        ('{"schema":1,"payload":2,"id":3}', '{"schema":1,"payload":2,"id":3}'),
        ("plain", "plain"),
        ("{broken", "{broken"),
        (None, None),
    ],
)
def test_the_key_is_the_messages_without_its_schema(key: str | None, ordered_by: str | None) -> None:
    assert draft("debezium", of(CHANGE, key)).key == ordered_by


@pytest.mark.parametrize(
    "value",
    [
        {"ts_ms": 1},
        {"schema": {}, "payload": {"ts_ms": 1}},
        {"status": "END", "id": "1:2", "event_count": 2},
        {"source": {}, "databaseName": "d", "ddl": "ALTER TABLE t"},
        {"schema": {}, "payload": {"tableChanges": []}},
    ],
)
def test_debeziums_own_messages_are_passed_over(value: dict[str, Any]) -> None:
    assert decoded("debezium", of(value)) == Skip(SkipReason.CONTROL)


def test_a_tombstone_follows_a_delete_that_was_an_event() -> None:
    assert decoded("debezium", Message(b"", {}, "k", tombstone=True)) == Skip(SkipReason.TOMBSTONE)
    deleted = draft("debezium", of(CHANGE | {"op": "d", "before": {"id": 7}, "after": None}, "k"))
    assert deleted.attributes["iodebeziumop"] == "d"


@pytest.mark.parametrize("value", [{"id": 7}, {"payload": 7}, CHANGE | {"op": "x"}, CHANGE | {"source": {}}])
def test_what_is_no_change_is_refused(value: dict[str, Any]) -> None:
    assert reason("debezium", of(value))


def test_a_change_that_nests_deeper_than_json_is_written_has_no_identity() -> None:
    value = orjson.dumps(CHANGE)[:-1] + b',"before":' + b"[" * 300 + b"]" * 300 + b"}"
    (found,) = build("debezium", Caps(1_000_000, 10, 500)).decode(Message(value, {}, "k"))
    assert isinstance(found, Draft)
    assert not found.attributes
