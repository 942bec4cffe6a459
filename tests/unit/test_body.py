"""Bodies to drafts: the modes of a request, the items in it, and whatever a hostile producer may send."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from service.codecs.body import reader
from service.codecs.draft import Caps, Decoded, Draft, Refusal
from service.errors import Code, Unreadable, Unsupported
from service.event import NO_ATTRIBUTES, STRUCTURED

CAPS = Caps(event_bytes=64 * 1024, events=10_000, nesting=64)
BATCH = "application/cloudevents-batch+json"
MINIMAL: dict[str, Any] = {"specversion": "1.0", "id": "A1", "source": "/s", "type": "t"}
HEADERS = {f"ce-{name}": value for name, value in MINIMAL.items()}
ONE = json.dumps(MINIMAL).encode()


def read(
    content_type: str | None, body: bytes, headers: Mapping[str, str] = NO_ATTRIBUTES, caps: Caps = CAPS
) -> list[Decoded]:
    return list(reader(content_type, headers, caps)(body))


def shape(found: list[Decoded]) -> list[Any]:
    """The data of each draft, the code of each refusal."""
    return [item.data if isinstance(item, Draft) else item.error.code for item in found]


def test_an_object_is_one_event_and_its_bytes_stay_as_they_came() -> None:
    (draft,) = read("application/json; charset=utf-8", b' {"a": 1}\n')
    assert draft == Draft(b' {"a": 1}\n', "application/json", NO_ATTRIBUTES, {"a": 1})


def test_an_array_is_many_events_each_with_its_own_bytes() -> None:
    found = read("application/json", b'\n[ {"a": 1} , {"b":\t2},{}]')
    assert [item.body for item in found] == [b'{"a": 1}', b'{"b":\t2}', b"{}"]
    assert shape(found) == [{"a": 1}, {"b": 2}, {}]


@pytest.mark.parametrize(
    "content_type", ["application/x-ndjson", "application/ndjson", "Application/JSONL;charset=utf-8"]
)
@pytest.mark.parametrize("body", [b'{"a":1}\n{"b":2}\n', b'{"a":1}\r\n{"b":2}\r\n', b'\n\r\n {"a":1}\n \t\n\n{"b":2} '])
def test_lines_are_events_whatever_ends_them_and_blank_ones_are_none(content_type: str, body: bytes) -> None:
    found = read(content_type, body)
    assert [item.body for item in found] == [b'{"a":1}', b'{"b":2}']


def test_an_array_on_a_line_is_no_event() -> None:
    assert shape(read("application/jsonl", b'{}\n[{}]\n5\n"x"\nnull')) == [{}, *[Code.MALFORMED_EVENT] * 4]


def test_a_structured_cloudevent_is_known_by_its_media_type() -> None:
    (draft,) = read("Application/CloudEvents+JSON; charset=UTF-8", ONE, {"ce-id": "another"})
    assert isinstance(draft, Draft)
    assert draft.attributes == MINIMAL
    assert draft.content_type == STRUCTURED


def test_a_batch_is_many_structured_cloudevents() -> None:
    found = read(BATCH, b"[" + ONE + b",\n" + ONE + b"]")
    assert [item.body for item in found] == [ONE, ONE]
    assert all(isinstance(item, Draft) and item.content_type == STRUCTURED for item in found)


@pytest.mark.parametrize("content_type", [None, "application/json", "image/png", "text/plain", "application/x-ndjson"])
def test_headers_make_a_request_binary_whatever_its_type(content_type: str | None) -> None:
    (draft,) = read(content_type, b"[1]", HEADERS)
    assert isinstance(draft, Draft)
    assert draft.body == b"[1]"
    assert draft.attributes["id"] == "A1"


def test_a_single_cloudevents_header_is_enough_to_be_binary_and_then_the_rest_is_missing() -> None:
    (refusal,) = read("application/json", b"{}", {"ce-id": "A1"})
    assert isinstance(refusal, Refusal)
    assert refusal.error.code is Code.INVALID_CLOUDEVENT
    assert refusal.id == "A1"


@pytest.mark.parametrize(
    "content_type",
    [None, "application/xml", "application/cloudevents", "application/cloudevents+avro",
     "application/cloudevents-batch", "application/cloudevents-batch+avro",
     "application/cloudeventsx+json", "application/json-seq"],
)  # fmt: skip
def test_other_types_are_unsupported_and_the_allowed_ones_are_named(content_type: str | None) -> None:
    with pytest.raises(Unsupported, match="allowed: application/json, application/x-ndjson") as caught:
        read(content_type, ONE)
    assert caught.value.code is Code.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]
)
def test_form_types_are_unsupported_with_a_hint(content_type: str) -> None:
    with pytest.raises(Unsupported, match="any web page"):
        read(content_type, b"{}")


def test_text_plain_is_json_only_where_it_is_allowed() -> None:
    (draft,) = reader("text/plain;charset=UTF-8", {}, CAPS, plain_text_as_json=True)(b'{"a": 1}')
    assert isinstance(draft, Draft)
    assert (draft.content_type, shape([draft])) == ("application/json", [{"a": 1}])


@pytest.mark.parametrize("essence", [STRUCTURED, BATCH, "application/json", "application/x-ndjson"])
@pytest.mark.parametrize("charset", ["utf-16", "iso-8859-1", "x" * 1000])
def test_another_charset_than_utf_8_is_unsupported_in_every_mode_that_is_json(essence: str, charset: str) -> None:
    with pytest.raises(Unsupported, match="send UTF-8") as caught:
        read(f"{essence}; charset={charset}", ONE)
    assert len(caught.value.detail) < 200


def test_a_malformed_content_type_is_unreadable() -> None:
    with pytest.raises(Unreadable) as caught:
        read("json", b"{}", HEADERS)
    assert caught.value.code is Code.MALFORMED_HEADER


@pytest.mark.parametrize("content_type", [STRUCTURED, BATCH, "application/json", "application/x-ndjson"])
@pytest.mark.parametrize("body", [b"", b" ", b" \r\n\t\n"])
def test_nothing_is_an_empty_body(content_type: str, body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read(content_type, body)
    assert caught.value.code is Code.EMPTY_BODY


@pytest.mark.parametrize("content_type", [BATCH, "application/json"])
def test_an_array_of_nothing_is_an_empty_body(content_type: str) -> None:
    with pytest.raises(Unreadable, match="at least one event") as caught:
        read(content_type, b" [ ] ")
    assert caught.value.code is Code.EMPTY_BODY


@pytest.mark.parametrize("body", [b"[{}", b"[{},]", b"[{}]x", b"[{} {}]", b"[,{}]", b"[\xff]", b"[NaN]"])
def test_an_array_that_cannot_be_split_is_malformed_with_the_place(body: bytes) -> None:
    with pytest.raises(Unreadable, match="not a JSON array: ") as caught:
        read("application/json", body)
    assert caught.value.code is Code.MALFORMED_BODY


def test_a_batch_that_is_no_array_is_malformed() -> None:
    with pytest.raises(Unreadable, match="a batch is a JSON array"):
        read(BATCH, ONE)
