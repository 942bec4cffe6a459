"""Selectors: where a route finds its key or id."""

import json
from typing import Any

import pytest

from service.codecs.draft import NOT_JSON, Draft
from service.codecs.json import loads
from service.codecs.selector import Selector
from service.errors import Code, InvalidEvent
from service.event import NO_ATTRIBUTES


def draft(data: Any, attributes: dict[str, str] | None = None) -> Draft:
    return Draft(b"", "application/json", attributes or NO_ATTRIBUTES, data)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/customer/id", "c-1"),
        ("/a~1b", "slash"),
        ("/number", "7"),
        ("/zero", "0"),
        ("/yes", "true"),
        ("/no", "false"),
        ("/price", "9.99"),
        ("/null", None),
        ("/empty", None),
        ("/nowhere", None),
        ("ce:subject", "s"),
        ("ce:nothing", None),
        ("header:X-Tenant", "t"),
        ("header:x-none", None),
    ],
)
def test_a_scalar_is_found_and_nothing_is_none(text: str, found: str | None) -> None:
    data = {"customer": {"id": "c-1"}, "a/b": "slash", "number": 7, "zero": 0, "yes": True, "no": False, "price": 9.99}
    data |= {"null": None, "empty": ""}
    assert Selector(text)(draft(data, {"subject": "s"}), {"x-tenant": "t"}) == found


@pytest.mark.parametrize("data", [None, NOT_JSON, 5, "text", []])
def test_data_that_is_no_object_has_nothing_at_a_pointer(data: Any) -> None:
    assert Selector("/id")(draft(data), {}) is None


@pytest.mark.parametrize("value", [{}, [], {"a": 1}])
def test_an_object_or_array_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(InvalidEvent, match="#/a%20b/id: must be a string") as caught:
        Selector("/a b/id")(draft({"a b": {"id": value}}), {})
    assert caught.value.code is Code.INVALID_KEY
    assert caught.value.members["errors"][0]["pointer"] == "#/a%20b/id"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("9223372036854775807", "9223372036854775807"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("1732431600.5", "1732431600.5"),
        ("123456789012345", "123456789012345"),
        ("0.000123456789012345", "0.000123456789012345"),
        ("1.0", "1.0"),
        ("-0.5", "-0.5"),
    ],
)
def test_a_number_that_is_read_exactly_is_its_text(number: str, text: str) -> None:
    assert Selector("/id")(draft(loads(f'{{"id": {number}}}'.encode(), 2)), {}) == text


@pytest.mark.parametrize(
    "number",
    [
        "18446744073709551616",
        "20000000000000000001",
        "1732431600.1234567",
        "1e300",
        "-1E+300",
        "1000000000000000001.0",
        "0.12345678901234567",
    ],
)
def test_a_number_that_a_double_cannot_tell_from_another_is_refused(number: str) -> None:
    told = "#/id: written out it has more than 15 digits; send it as a string, for it is the event's key or id"
    with pytest.raises(InvalidEvent, match=f"^{told}$") as caught:
        Selector("/id")(draft(loads(json.dumps({"id": 0}).replace("0", number).encode(), 2)), {})
    assert caught.value.code is Code.INVALID_KEY


@pytest.mark.parametrize(
    "text", ["", "id", "ce:", "ce:Subject", "ce:a-b", "header:", "header:a b", "header:a\n", "cookie:x", "#/a"]
)
def test_what_is_no_selector_is_refused_with_the_three_that_are(text: str) -> None:
    with pytest.raises(ValueError, match="ce:subject"):
        Selector(text)


def test_a_bad_pointer_is_refused_as_one() -> None:
    with pytest.raises(ValueError, match="'~0'"):
        Selector("/a~b")


def test_only_a_pointer_finds_what_is_in_the_body() -> None:
    assert [Selector(text).in_body for text in ("/id", "ce:id", "header:x")] == [True, False, False]
