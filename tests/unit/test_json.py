"""Strict JSON of bounded depth."""

import json as reference
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs import json
from service.errors import Code, InvalidEvent

HOSTILE = {
    "lone surrogate": rb'{"a": "\ud800"}',
    "surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
    "invalid UTF-8": b'{"a": "\xff"}',
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "minus Infinity": b'{"a": -Infinity}',
    "number beyond a double": b'{"a": 1e999}',
    "400 digits": b'{"a": ' + b"9" * 400 + b"}",
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "nothing": b"",
    "blank": b" \t\r\n",
    "form feed": b"\x0c{}",
    "NUL after it": b"{}\x00",
    "two texts": b"{}{}",
    "trailing comma": b'{"a": [1,]}',
    "comment": b"{} // no",
    "single quotes": b"{'a': 1}",
    "leading zero": b'{"a": 01}',
    "control character": b'{"a": "\x01"}',
    "cut short": b'{"a": "b',
}

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text('a[]{}",\\ \n', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('k[{"\\', max_size=3), inner, max_size=4),
    max_leaves=30,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_what_is_not_one_strict_text_is_refused_with_its_place(body: bytes) -> None:
    with pytest.raises(InvalidEvent) as caught:
        json.loads(body, 64)
    assert caught.value.code is Code.MALFORMED_EVENT
    assert caught.value.detail.startswith("not JSON: ")


@given(values, st.sampled_from([None, 1]))
def test_depth_is_that_of_the_value_and_strings_do_not_count(value: Any, indent: int | None) -> None:
    body = reference.dumps(value, indent=indent, ensure_ascii=False).encode()
    assert json.loads(body, depth(value)) == value
    assert not json.nests_deeper(body, depth(value))
    if depth(value):
        assert json.nests_deeper(body, depth(value) - 1)


@given(st.lists(values, min_size=1, max_size=20))
def test_items_are_counted_as_a_parser_counts_them(items: list[Any]) -> None:
    body = reference.dumps(items).encode()
    assert json.count_items(body, 10**6) == len(items)


@pytest.mark.parametrize("levels", [64, 500])
@pytest.mark.parametrize(
    "deep",
    [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b'[{"a":' * 100_000, b"[" * 100_000],
    ids=["arrays", "objects", "mixed, cut short", "arrays, cut short"],
)
def test_a_hundred_thousand_levels_are_refused(deep: bytes, levels: int) -> None:
    with pytest.raises(InvalidEvent) as caught:
        json.loads(deep, levels)
    assert caught.value.code is Code.NESTED_TOO_DEEP
    assert caught.value.members["limit"] == levels


def test_brackets_inside_strings_never_count() -> None:
    text = '[{"' * 100_000 + "\\"
    assert json.loads(reference.dumps({"a": text}).encode(), 1) == {"a": text}


@pytest.mark.parametrize("offset", range(-3, 4))
def test_a_string_may_lie_across_the_pieces_of_the_count(offset: int) -> None:
    before = b"[" + b"[]," * ((64 * 1024 + offset) // 2)
    body = before + b'"[[[[", {"a": "]]]]"}, [[0]]]'
    assert json.nests_deeper(body, 2)
    assert not json.nests_deeper(body, 3)
    assert json.count_items(body, 10**6) == body.count(b"[],") + 3


def test_counting_stops_above_the_most() -> None:
    assert 10 < json.count_items(b"[" + b"0," * 10_000_000 + b"0]", 10) < 100_000


def test_integers_beyond_64_bits_are_doubles_and_the_last_of_repeated_keys_counts() -> None:
    assert json.loads(b'{"a": 1, "a": 18446744073709551616}', 1) == {"a": 2.0**64}
