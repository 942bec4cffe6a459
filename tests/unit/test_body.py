"""Bodies to drafts: the modes of a request, the items in it, and whatever a hostile producer may send."""

import json
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.body import decode
from service.codecs.draft import Caps, Decoded, Draft, Refusal
from service.errors import Code, IngestError, TooLarge, Unreadable, Unsupported
from service.event import NO_ATTRIBUTES, STRUCTURED

CAPS = Caps(event_bytes=64 * 1024, events=10_000, nesting=64)
BATCH = "application/cloudevents-batch+json"
MINIMAL: dict[str, Any] = {"specversion": "1.0", "id": "A1", "source": "/s", "type": "t"}
HEADERS = {f"ce-{name}": value for name, value in MINIMAL.items()}
ONE = json.dumps(MINIMAL).encode()


def read(
    content_type: str | None, body: bytes, headers: Mapping[str, str] = NO_ATTRIBUTES, caps: Caps = CAPS
) -> list[Decoded]:
    return list(decode(content_type, headers, body, caps))


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
    (draft,) = decode("text/plain;charset=UTF-8", {}, b'{"a": 1}', CAPS, plain_text_as_json=True)
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


BAD_ITEMS = {
    "a string": b'"x"',
    "a number beyond a double": b'{"a": 1e999}',
    "invalid UTF-8": b'{"a": "\xff"}',
    "a surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
    "too deep": b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}",
    "too large": b'{"a": "' + b"x" * CAPS.event_bytes + b'"}',
}


@pytest.mark.parametrize("item", BAD_ITEMS.values(), ids=BAD_ITEMS)
def test_one_bad_item_of_an_array_leaves_those_around_it_good(item: bytes) -> None:
    found = read("application/json", b'[{"n": 0}, ' + item + b', {"n": 2}]')
    assert isinstance(found[1], Refusal)
    assert found[1].body == item
    assert shape([found[0], found[2]]) == [{"n": 0}, {"n": 2}]


@pytest.mark.parametrize(
    "item", [*BAD_ITEMS.values(), b"{", b'{"a": "\\ud800"}', b"{}{}", b"[" * 100_000, b"\xef\xbb\xbf{}"]
)
def test_one_bad_line_leaves_those_around_it_good(item: bytes) -> None:
    found = read("application/x-ndjson", b'{"n": 0}\n' + item + b'\n{"n": 2}')
    assert isinstance(found[1], Refusal)
    assert found[1].body == item
    assert shape([found[0], found[2]]) == [{"n": 0}, {"n": 2}]


def test_one_bad_event_of_a_batch_leaves_those_around_it_good_and_is_named() -> None:
    bad = json.dumps(MINIMAL | {"id": "B2", "specversion": "0.3"}).encode()
    first, refusal, last = read(BATCH, b"[" + b",".join([ONE, bad, ONE]) + b"]")
    assert isinstance(first, Draft)
    assert isinstance(last, Draft)
    assert isinstance(refusal, Refusal)
    assert (refusal.id, refusal.body, refusal.content_type) == ("B2", bad, STRUCTURED)


def test_an_array_too_deep_to_be_split_is_refused_whole() -> None:
    for content_type in ("application/json", BATCH):
        with pytest.raises(Unreadable) as caught:
            read(content_type, b"[{}," + b"[" * 100_000 + b"]" * 100_000 + b"]")
        assert caught.value.code is Code.NESTED_TOO_DEEP


def test_an_event_of_the_deepest_nesting_may_stand_in_an_array() -> None:
    item = b'{"a":' * 64 + b"1" + b"}" * 64
    assert all(isinstance(found, Draft) for found in read("application/json", b"[" + item + b"," + item + b"]"))


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [("application/json", {}), (STRUCTURED, {}), ("application/octet-stream", HEADERS)],
)
def test_an_event_above_its_limit_is_refused_with_both_numbers(content_type: str, headers: dict[str, str]) -> None:
    body = b'{"a": "' + b"x" * CAPS.event_bytes + b'"}'
    (refusal,) = read(content_type, body, headers)
    assert isinstance(refusal, Refusal)
    assert isinstance(refusal.error, TooLarge)
    assert refusal.error.members == {"limit": CAPS.event_bytes, "actual": len(body)}


@pytest.mark.parametrize(
    ("first", "between", "last"), [(b"[", b",", b"]"), (b"", b"\n", b""), (b"", b"\n\n \r\n", b"\n\n")]
)
def test_as_many_events_as_allowed_are_taken_and_one_more_is_not(first: bytes, between: bytes, last: bytes) -> None:
    content_type = "application/json" if first else "application/x-ndjson"
    assert len(read(content_type, first + between.join([b'{"a":"b"}'] * 10_000) + last)) == 10_000
    with pytest.raises(TooLarge, match="at most 10000 are taken") as caught:
        read(content_type, first + between.join([b"{}"] * 10_001) + last)
    assert caught.value.code is Code.BATCH_TOO_LARGE
    assert caught.value.members == {"limit": 10_000, "actual": 10_001}


def test_an_array_of_many_commas_in_few_events_is_taken() -> None:
    wide = Caps(event_bytes=2**20, events=2, nesting=64)
    item = b'{"a":[' + b",".join([b"0"] * 60_000) + b'],"b":",,,"}'
    assert len(read("application/json", b"[" + item + b"," + item + b"]", caps=wide)) == 2


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"[" + b"0," * 4_000_000 + b"0]"),
        (BATCH, b"[" + b"0," * 4_000_000 + b"0]"),
        ("application/x-ndjson", b"0\n" * 4_000_000),
    ],
    ids=["array", "batch", "lines"],
)
def test_millions_of_items_are_counted_without_being_held(content_type: str, body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="more than 10000"):
            read(content_type, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(body)


def test_millions_of_blank_lines_are_passed_over() -> None:
    assert shape(read("application/x-ndjson", b"\n" * 8_000_000 + b"{}\n\r\n")) == [{}]


def test_a_huge_single_line_is_one_refusal() -> None:
    (refusal,) = read("application/x-ndjson", b'{"a":"' + b"x" * 8_000_000 + b'"}')
    assert isinstance(refusal, Refusal)
    assert refusal.error.code is Code.EVENT_TOO_LARGE


def test_items_are_read_one_by_one_as_they_are_asked_for() -> None:
    found = decode("application/x-ndjson", {}, b"{}\n{\n", CAPS)
    assert isinstance(next(found), Draft)
    assert isinstance(next(found), Refusal)


def test_a_nesting_that_cannot_be_split_is_no_setting() -> None:
    with pytest.raises(ValueError, match="at most 500"):
        Caps(event_bytes=1, events=1, nesting=501)


CONTENT_TYPES = [None, "application/json", "application/x-ndjson", STRUCTURED, BATCH, "image/png", "x", "text/plain"]
GOOD = [
    b'{"a": [1, {"b": "\\u00e9"}], "a": 1e5}',
    ONE,
    b"[" + ONE + b"," + ONE + b"]",
    ONE + b"\n" + ONE,
    b"[[[]]]",
    b'{"":{}}',
]
PIECES = [b"[", b"]", b"{", b"}", b'"', b"\\", b",", b":", b"\n", b"\xff", b"\xed\xa0\x80", b"\\ud800",
     b"1e999", b"null",
          b"\x00", b"[" * 2000, b'{"id":' * 2000, b'"data":1,', b'"data_base64":"QQ==",', b'"id":"A",',
     b"9" * 400]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    body = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.sampled_from(PIECES)) + body[at + draw(st.integers(0, 3)) :]
    return body


@given(
    st.sampled_from(CONTENT_TYPES) | st.text(max_size=40),
    st.binary(max_size=100) | mutated(),
    st.sampled_from([{}, HEADERS])
    | st.dictionaries(st.sampled_from(["ce-id", "ce-data", "ce-", "x"]), st.text(max_size=9)),
)
def test_whatever_is_sent_gives_drafts_and_refusals_or_one_refusal_of_the_whole(
    content_type: str | None, body: bytes, headers: dict[str, str]
) -> None:
    try:
        found = read(content_type, body, headers)
    except IngestError as error:
        refusals = [error]
    else:
        assert found
        assert all(item.body in body for item in found)
        refusals = [item.error for item in found if isinstance(item, Refusal)]
    assert all(error.status in (400, 413, 415, 422) and 0 < len(error.detail) < 1000 for error in refusals)


@pytest.mark.parametrize("content_type", ["application/json", STRUCTURED])
@pytest.mark.parametrize("body", [b"a=1", b'{"a":', b'{"a":"\xff"}', b"{} {}"])
def test_a_body_that_is_to_be_one_event_and_is_not_json_cannot_be_read(content_type: str, body: bytes) -> None:
    with pytest.raises(Unreadable, match="not JSON: ") as caught:
        read(content_type, body)
    assert caught.value.code is Code.MALFORMED_BODY
