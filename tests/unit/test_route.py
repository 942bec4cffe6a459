"""A route: what it makes of a draft, and which route a type finds."""

import json
import re
from typing import Any

import pytest

from service.codecs.attributes import MOST_ID
from service.codecs.cloudevents import binary, structured
from service.codecs.draft import NOT_JSON, Draft
from service.codecs.selector import Selector
from service.delivery.route import MOST_KEY_BYTES, Route, Router
from service.errors import Code, InvalidEvent
from service.event import NO_ATTRIBUTES, Event, Origin, uuid7
from service.schemas.contract import Violation

ORIGIN = Origin("http", 1732431600.0)
ENVELOPE: dict[str, Any] = {"specversion": "1.0", "id": "A1", "source": "/s", "type": "t"}


class Demanding:
    """A schema that wants an `ok`."""

    def violations(self, data: Any) -> list[Violation]:
        if isinstance(data, dict) and data.get("ok"):
            return []
        return [Violation("#/ok", "required", "is missing"), Violation("#", "type", "is odd")]


def draft(data: Any = None, **attributes: str) -> Draft:
    return Draft(json.dumps(data).encode(), "application/json", attributes or NO_ATTRIBUTES, data)


def event(route: Route, found: Draft, headers: dict[str, str] | None = None, named: str | None = None) -> Event:
    return route.event(found, headers or {}, ORIGIN, named)


def refused(
    route: Route, found: Draft, headers: dict[str, str] | None = None, named: str | None = None
) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        event(route, found, headers, named)
    return caught.value


def test_the_identity_is_first_the_envelopes() -> None:
    route = Route("r", (), id=Selector("/id"))
    body = json.dumps(ENVELOPE | {"data": {"id": "mine"}}).encode()
    made = event(route, structured(body, 9), named="key")
    assert (made.id, made.attributes["source"], made.attributes["type"], made.id_in_body) == ("A1", "/s", "t", True)
    headers = {f"ce-{name}": value for name, value in ENVELOPE.items()}
    made = event(route, binary(headers, "application/json", b'{"id": "mine"}', 9), named="key")
    assert (made.id, made.id_in_body) == ("A1", False)


def test_then_what_the_route_names_then_the_key_of_the_request_then_a_new_one() -> None:
    route = Route("r", (), id=Selector("/id"), source="/shop")
    made = event(route, draft({"id": 7}), named="key")
    assert (made.id, made.id_in_body) == ("7", True)
    assert made.attributes == {"specversion": "1.0", "id": "7", "source": "/shop", "type": "r"}
    made = event(route, draft({"id": None}), named="key")
    assert (made.id, made.id_in_body, made.attributes["id"]) == ("key", False, "key")
    made = event(route, draft({}))
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made.id)
    assert not made.id_in_body
    assert event(route, draft({})).id != made.id


def test_an_id_from_a_header_is_not_in_the_body() -> None:
    made = event(Route("r", (), id=Selector("header:x-id")), draft({}), {"x-id": "h"})
    assert (made.id, made.id_in_body) == ("h", False)


@pytest.mark.parametrize("id_", ["x" * (MOST_ID + 1), "a\nb", "a\x7f", "\x00", "a\ud800", "\ufffe"])
def test_an_id_that_is_too_long_or_has_control_characters_is_refused_wherever_it_is_from(id_: str) -> None:
    route = Route("r", (), id=Selector("/id"))
    for error in (refused(route, Draft(b"", "", NO_ATTRIBUTES, {"id": id_})), refused(route, draft({}), named=id_)):
        assert error.code is Code.INVALID_KEY
        assert error.detail.startswith("the event's id has ")
        assert len(error.detail) < 200


@pytest.mark.parametrize("id_", ["x" * MOST_ID, "Euro € 😀", "a b", "\u00a0"])
def test_any_other_id_is_taken(id_: str) -> None:
    assert event(Route("r", ()), draft({}), named=id_).id == id_


def test_a_key_has_at_most_8_kib_in_utf_8() -> None:
    route = Route("r", (), key=Selector("/k"))
    assert event(route, draft({"k": "é" * (MOST_KEY_BYTES // 2)})).key == "é" * (MOST_KEY_BYTES // 2)
    assert event(route, draft({})).key is None
    error = refused(route, draft({"k": "é" * (MOST_KEY_BYTES // 2) + "x"}))
    assert (error.code, error.detail) == (Code.INVALID_KEY, "the event's key has 8193 bytes; at most 8192 are taken")
    assert refused(route, draft({"k": {}})).code is Code.INVALID_KEY


def test_a_violation_is_refused_with_all_of_them() -> None:
    route = Route("r", (), schema=Demanding())  # type: ignore[arg-type]
    assert event(route, draft({"ok": 1})).body == b'{"ok": 1}'
    error = refused(route, draft({}))
    assert (error.code, error.detail) == (Code.SCHEMA_VIOLATION, "#/ok: is missing (and 1 more)")
    assert [list(violation.values()) for violation in error.members["errors"]] == [
        ["#/ok", "required", "is missing"],
        ["#", "type", "is odd"],
    ]


def test_data_that_is_not_json_has_no_place_on_a_route_with_a_schema() -> None:
    found = Draft(b"\x89", "image/png", NO_ATTRIBUTES, NOT_JSON)
    error = refused(Route("r", (), schema=Demanding()), found)  # type: ignore[arg-type]
    assert (error.code, error.members) == (Code.SCHEMA_VIOLATION, {"errors": ()})
    assert event(Route("r", ()), found).body == b"\x89"


def test_a_type_finds_its_exact_name_first_then_the_longest_prefix() -> None:
    routes = {
        "all": Route("all", (), types=("*",)),
        "orders": Route("orders", (), types=("com.acme.order.*", "com.acme.refund")),
        "created": Route("created", (), types=("com.acme.order.created",)),
        "paid": Route("paid", (), types=("com.acme.order.paid.*",)),
    }
    found = {
        "com.acme.order.created": "created",
        "com.acme.order.created.v2": "orders",
        "com.acme.order.paid.late": "paid",
        "com.acme.order.": "orders",
        "com.acme.order": "all",
        "com.acme.refund": "orders",
        "COM.ACME.REFUND": "all",
    }
    for order in (list(routes.values()), list(routes.values())[::-1]):
        router = Router(order)
        assert {type_: route.name for type_ in found if (route := router.find(type_))} == found
    assert Router([routes["created"]]).find("com.acme.order.paid") is None


def test_a_new_id_begins_with_the_time() -> None:
    first, second = uuid7(), uuid7()
    assert first[:8] <= second[:8]
    assert abs(int(second[:8] + second[9:13], 16) - int(first[:8] + first[9:13], 16)) < 60_000
