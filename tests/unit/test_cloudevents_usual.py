"""The short look at an event that is written as most are: it finds what the careful one finds, whatever is sent."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service.codecs.cloudevents import structured
from service.errors import InvalidEvent
from tests.unit.test_attributes import NAMES, USUAL, VALUES

COMPACT = (",", ":")
EVENT = json.dumps(USUAL | {"data": {"a": [1, {"b": "é"}], "id": "x"}}, separators=COMPACT, ensure_ascii=False).encode()
MARKS = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b" ", b"\n", b"\x7f", b"\xff", b"0", b"e", b""]
)
FIXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def found(body: bytes) -> Any:
    """What is made of it: attributes and data, or what is wrong."""
    try:
        draft = structured(body, 64)
    except InvalidEvent as error:
        return error.code, error.members.get("errors")
    return dict(draft.attributes), draft.data


def carefully(body: bytes) -> Any:
    """The same where the short look finds nothing usual, for the blank."""
    return found(b" " + body)


def same(body: bytes) -> None:
    assert found(body) == carefully(body)


@FIXED
@example({"subject": "a\x7fb"}, {"a": 1}, False)
@example({"subject": ""}, None, True)
@example({"id": 'x","data":1,"y":"'}, 1, True)
@given(st.dictionaries(NAMES, VALUES, max_size=3), st.recursive(st.none() | st.text(), st.lists), st.booleans())
def test_whatever_the_attributes_are(changes: dict[str, str], data: object, ascii_only: bool) -> None:
    same(json.dumps(USUAL | changes | {"data": data}, separators=COMPACT, ensure_ascii=ascii_only).encode())


@FIXED
@given(st.integers(0, len(EVENT)), st.integers(0, 3), MARKS)
def test_wherever_a_byte_is_another_one(at: int, gone: int, mark: bytes) -> None:
    same(EVENT[:at] + mark + EVENT[at + gone :])


@pytest.mark.parametrize("name", [*USUAL, "data"])
def test_a_member_that_stands_there_twice_is_found(name: str) -> None:
    again = f'"{name}":{json.dumps(USUAL.get(name, 1))}'.encode()
    for body in (b"{" + again + b"," + EVENT[1:], EVENT[:-1] + b"," + again + b"}"):
        same(body)
        assert "uniqueItems" in str(found(body))


@pytest.mark.parametrize("number", [b"1e999", b"-1E+999", b"1" * 400, b"0.1e0999", b"1e-999", b"1e0000", b"1" * 305])
def test_a_number_beyond_a_double_is_refused(number: bytes) -> None:
    same(EVENT.replace(b"[1,", b"[" + number + b","))
