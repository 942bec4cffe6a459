"""An event that is posted again is the same event: bytes, media type, attributes, identity and key."""

import string
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.body import reader
from service.codecs.draft import Caps, Draft
from service.config.settings import RouteConfig
from service.delivery.deadletter import envelope
from service.dlq.letter import Letter
from service.dlq.posting import Posting, UnsendableError, posting
from service.event import NO_ATTRIBUTES, STRUCTURED, Event, Origin
from service.http.preferences import idempotency_key
from service.outcome import Reason

CAPS = Caps(event_bytes=10**6, events=10, nesting=64)
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=40)
PLAIN = {"specversion": "1.0", "id": "A1", "source": "/routes/orders", "type": "orders"}


def letter(
    body: bytes = b'{"a": 1}',
    attributes: Mapping[str, str] = NO_ATTRIBUTES,
    content_type: str = "application/json",
    id: str = "A1",
    key: str | None = None,
) -> Letter:
    event = Event(id, "orders", key, body, content_type, attributes, Origin("http", 1.0))
    raw = envelope(event, sink="s", reason=Reason.TOO_LARGE, detail="", attempts=1, dead_lettered_at=1.0)
    return Letter.parse(raw)


def routes(**settings: Any) -> dict[str, RouteConfig]:
    return {"orders": RouteConfig(to=("s",), **settings), "other": RouteConfig(to=("s",), **settings)}


def read(found: Posting) -> Draft:
    """The draft that the HTTP source makes of it."""
    headers = {name.lower(): value for name, value in found.headers.items()}
    (draft,) = reader(headers.get("content-type"), headers, CAPS)(found.body)
    assert isinstance(draft, Draft), draft
    return draft


@given(
    st.fixed_dictionaries(
        {"specversion": st.just("1.0"), "id": TEXT, "source": st.just("/shop?a=b%20c"), "type": TEXT},
        optional={"subject": TEXT, "datacontenttype": st.sampled_from(["image/png", 'text/x; a="b c"'])},
    ),
    st.binary(max_size=50),
)
def test_an_event_in_binary_mode_has_its_attributes_and_bytes_again(attributes: dict[str, str], body: bytes) -> None:
    media = attributes.get("datacontenttype", "application/octet-stream")
    found = posting(letter(body, attributes, media, attributes["id"]), None, {})
    draft = read(found)
    assert (draft.attributes, draft.body, draft.content_type) == (attributes, body, media)


def test_a_structured_event_is_posted_as_it_came() -> None:
    body = b'{"specversion":"1.0","id":"A1","source":"/shop","type":"t", "data": 1}'
    found = posting(letter(body, {**PLAIN, "source": "/shop"}, STRUCTURED), None, {})
    assert (found.body, found.headers) == (body, {"Content-Type": STRUCTURED})


@given(st.text(string.digits + string.ascii_letters + string.punctuation, min_size=1, max_size=30))
def test_an_event_without_an_envelope_gets_its_id_as_idempotency_key(id: str) -> None:
    found = posting(letter(attributes={**PLAIN, "id": id}, id=id), None, routes())
    assert idempotency_key({"idempotency-key": found.headers["Idempotency-Key"]}) == id
    assert not read(found).attributes


def test_on_a_route_with_another_source_it_keeps_source_and_id() -> None:
    found = posting(letter(attributes=PLAIN), "other", routes())
    assert (found.route, read(found).attributes) == ("other", {**PLAIN, "datacontenttype": "application/json"})


def test_where_the_id_is_in_the_body_it_goes_as_it_came_to_any_route() -> None:
    for to in (None, "other"):
        found = posting(letter(attributes={**PLAIN, "id": "é"}, id="é"), to, routes(id="/id"))
        assert found.headers == {"Content-Type": "application/json"}


def test_an_id_that_no_header_can_hold_bare_goes_as_a_cloudevent() -> None:
    found = posting(letter(attributes={**PLAIN, "id": "é"}, id="é"), None, routes())
    assert read(found).attributes["id"] == "é"


def test_the_source_of_the_configuration_tells_who_had_no_envelope() -> None:
    attributes = {**PLAIN, "source": "/shop"}
    assert "Idempotency-Key" in posting(letter(attributes=attributes), None, routes(source="/shop")).headers
    assert "ce-id" in posting(letter(attributes=attributes), None, routes()).headers


def test_key_and_id_are_where_the_route_looks_for_them() -> None:
    settings = routes(key="header:X-Tenant", id="header:X-Id")
    found = posting(letter(attributes=PLAIN, key="t 1"), None, settings)
    assert (found.headers["X-Tenant"], found.headers["X-Id"], found.order) == ("t 1", "A1", "t 1")
    with pytest.raises(UnsendableError, match="its key came in header X-Tenant"):
        posting(letter(attributes=PLAIN, key="é"), None, settings)


def test_what_cannot_be_the_same_event_again_is_not_sent() -> None:
    with pytest.raises(UnsendableError, match="read as many events"):
        posting(letter(b' [{"a": 1}]'), None, {})
    with pytest.raises(UnsendableError, match="too large for the letter"):
        posting(letter(attributes={**PLAIN, "subject": "x" * 5000}), None, {})


def test_a_key_of_which_only_the_beginning_is_kept_is_not_written_into_a_header() -> None:
    settings = routes(key="header:x-tenant")
    assert posting(letter(key="k" * 900), None, settings).headers["x-tenant"] == "k" * 900
    with pytest.raises(UnsendableError, match="only its beginning"):
        posting(letter(key="k" * 1500), None, settings)
