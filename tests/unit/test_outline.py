"""The outline of an event: its names and types, and never a value, however long, deep or hostile it is."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.outline import MOST_BYTES, MOST_NAMES, MOST_PARTS, outline

SECRET = "4000-1234"
VALUES = st.recursive(
    st.none() | st.booleans() | st.just(SECRET) | st.just(40001234),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from("abcdefgh"), inner, max_size=5),
    max_leaves=60,
)


def test_names_and_types_are_told() -> None:
    event = {"id": "x", "n": 1.5, "ok": True, "none": None, "lines": [{"sku": "a"}, {}, {}], "empty": [], "o": {}}
    assert outline(orjson.dumps(event)) == {
        "id": "string",
        "n": "number",
        "ok": "boolean",
        "none": "null",
        "lines": [{"sku": "string"}, "2 more"],
        "empty": "array",
        "o": {},
    }


@given(VALUES)
def test_no_value_is_told(value: object) -> None:
    found = json.dumps(outline(orjson.dumps(value)))
    assert SECRET not in found
    assert "40001234" not in found


def test_of_many_names_the_first_are_told_and_how_many_more() -> None:
    found = outline(orjson.dumps({f"name{number}": 1 for number in range(100)}))
    assert len(found) == MOST_NAMES + 1
    assert found["..."] == f"{100 - MOST_NAMES} more"


def test_it_is_short_whatever_the_event() -> None:
    inner = {f"{b}": {f"{c}": {"d": [[1]]} for c in range(16)} for b in range(16)}
    deep = {f"{a}{'n' * 1000}": inner for a in range(5)}
    assert isinstance(outline(orjson.dumps(deep)), dict)
    assert len(json.dumps(outline(orjson.dumps(deep)))) < MOST_PARTS * 100


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 5000, b"4000-1234"])
def test_what_is_no_json_is_so_many_bytes(body: bytes) -> None:
    assert outline(body) == f"{len(body)} bytes that are no JSON"


def test_a_long_event_is_not_read() -> None:
    assert outline(b"1" * (MOST_BYTES + 1)) == f"{MOST_BYTES + 1} bytes"
