"""Bodies that a hostile or broken producer sends: what is bad is refused, item by item, and nothing is held for it."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.body import reader
from service.codecs.draft import Caps, Draft, Refusal
from service.errors import Code, IngestError, TooLarge, Unreadable
from service.event import STRUCTURED
from tests.unit.test_body import BATCH, CAPS, HEADERS, MINIMAL, ONE, read, shape

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
    found = iter(reader("application/x-ndjson", {}, CAPS)(b"{}\n{\n"))
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
