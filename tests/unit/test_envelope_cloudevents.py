"""CloudEvents and plain JSON in messages: which mode, which key, and what a tombstone is."""

from typing import Any

import pytest

from service.codecs.draft import NOT_JSON, Draft, Refusal
from service.envelopes.contract import Found, Message, Skip, SkipReason
from service.event import STRUCTURED
from tests.contract.goldens import build

BINARY = {"ce_id": b"7", "ce_source": b"/shop", "ce_type": b"order.placed", "ce_specversion": b"1.0"}
ONE = b'{"specversion":"1.0","id":"7","source":"/shop","type":"order.placed","data":{"n":1}}'


def decoded(codec: str, message: Message, **settings: Any) -> Found:
    (found,) = build(codec, **settings).decode(message)
    return found


def draft(codec: str, message: Message) -> Draft:
    found = decoded(codec, message)
    assert isinstance(found, Draft), found
    return found


def reason(codec: str, message: Message) -> str:
    found = decoded(codec, message)
    assert isinstance(found, Refusal)
    assert found.body == message.value
    return found.error.detail


def test_the_content_type_goes_before_ce_headers() -> None:
    headers = BINARY | {"ce_id": b"other", "content-type": b"Application/CloudEvents+JSON; charset=UTF-8"}
    found = draft("cloudevents", Message(ONE, headers, "k"))
    assert (found.attributes["id"], found.content_type, found.data, found.key) == ("7", STRUCTURED, {"n": 1}, "k")


@pytest.mark.parametrize("headers", [{}, {"content-type": b"application/json"}, {"x": b"y"}])
def test_an_event_without_a_cloudevents_content_type_is_known_by_its_body(headers: dict[str, bytes]) -> None:
    assert draft("cloudevents", Message(ONE, headers)).attributes["type"] == "order.placed"


def test_binary_values_are_not_percent_decoded() -> None:
    found = draft("cloudevents", Message(b"x", BINARY | {"ce_subject": "a%20b ü".encode()}))
    assert found.attributes["subject"] == "a%20b ü"
    assert (found.content_type, found.data, found.body) == ("application/octet-stream", NOT_JSON, b"x")


def test_binary_data_that_its_header_declares_as_json_is_read() -> None:
    found = draft("cloudevents", Message(b'{"n":1}', BINARY | {"content-type": b"application/json"}))
    assert found.data == {"n": 1}
    assert found.attributes["datacontenttype"] == "application/json"


def test_binary_data_in_a_registrys_format_is_delivered_as_it_came_unless_it_is_declared_json() -> None:
    framed = b"\x00\x00\x00\x00\x07{}"
    assert draft("cloudevents", Message(framed, BINARY | {"content-type": b"application/avro"})).body == framed
    assert "schema id 7" in reason("cloudevents", Message(framed, BINARY | {"content-type": b"application/json"}))


def test_the_partition_key_goes_before_the_messages_key() -> None:
    assert draft("cloudevents", Message(b"", BINARY | {"ce_partitionkey": b"p"}, "k")).key == "p"
    assert draft("cloudevents", Message(b"", BINARY, "k")).key == "k"


@pytest.mark.parametrize(
    ("content_type", "says"),
    [
        (b"application/cloudevents-batch+json", "one event per message"),
        (b"application/cloudevents+avro", "'application/cloudevents+avro' is not taken"),
        (b"application/cloudevents+json; charset=latin-1", "send UTF-8"),
        (b"application/cloudevents+json; charset", "parameters cannot be read"),
        (b"application/cloudevents\xff", "is not UTF-8"),
    ],
)
def test_another_event_format_is_refused(content_type: bytes, says: str) -> None:
    assert says in reason("cloudevents", Message(ONE, {"content-type": content_type}))


def test_all_that_is_wrong_with_binary_headers_is_told() -> None:
    headers = {"ce_id": b"7", "ce_time": b"now", "ce_source": b"\xff", "ce_data": b""}
    found = decoded("cloudevents", Message(b"", headers))
    assert isinstance(found, Refusal)
    assert found.id == "7"
    pointers = {each["pointer"] for each in found.error.members["errors"]}
    assert pointers == {"#/time", "#/source", "#/data", "#/specversion", "#/type"}
    assert "content-type: is not UTF-8" in reason("cloudevents", Message(b"", BINARY | {"content-type": b"\xff"}))


def test_a_tombstone_with_headers_is_an_event_without_data() -> None:
    found = draft("cloudevents", Message(b"", BINARY, "k", tombstone=True))
    assert (found.body, found.data, found.key) == (b"", None, "k")


@pytest.mark.parametrize("codec", ["json", "ndjson", "cloudevents"])
def test_a_tombstone_is_refused_unless_it_is_to_be_skipped(codec: str) -> None:
    message = Message(b"", {}, "k", tombstone=True)
    assert "a tombstone" in reason(codec, message)
    assert decoded(codec, message, tombstones="skip") == Skip(SkipReason.TOMBSTONE)
    assert isinstance(decoded(codec, Message(b"", {}, "k"), tombstones="skip"), Refusal)


def test_plain_json_is_an_event_without_attributes_that_has_the_messages_key() -> None:
    found = draft("json", Message(b' {"n":1}', {}, "k"))
    assert (found.body, found.data, dict(found.attributes), found.key) == (b' {"n":1}', {"n": 1}, {}, "k")


def test_plain_json_is_read_though_a_header_names_its_schema() -> None:
    headers = {"__value_schema_id": b"\x01" + bytes(16)}
    assert draft("json", Message(b'{"n":1}', headers)).data == {"n": 1}
    assert "message header __value_schema_id: schema GUID 00000000-" in reason("json", Message(b"\x02\x02", headers))
    assert "schema id 5" in reason("json", Message(b"\x02", {"__value_schema_id": b"\x00\x00\x00\x00\x05"}))


def test_a_line_that_is_no_object_is_refused_alone_and_all_others_have_the_messages_key() -> None:
    first, bad, last = build("ndjson").decode(Message(b'{"n":1}\r\n\n7\n{"n":2}', {}, "k"))
    assert isinstance(first, Draft)
    assert isinstance(last, Draft)
    assert [first.body, first.key, last.body, last.key] == [b'{"n":1}', "k", b'{"n":2}', "k"]
    assert isinstance(bad, Refusal)
    assert bad.body == b"7"
