"""What of an event a destination gets: wrapped, unwrapped, or as it came."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.cloudevents import binary, structured
from service.codecs.draft import Draft
from service.codecs.formats import encode, resolve
from service.codecs.media import is_json
from service.delivery.route import Route
from service.event import NO_ATTRIBUTES, STRUCTURED, Event, Origin

ORIGIN = Origin("http", 1732431600.0)
MINIMAL: dict[str, Any] = {"specversion": "1.0", "id": "A1", "source": "/s", "type": "t"}
HEADERS = {f"ce-{name}": value for name, value in MINIMAL.items()}

json_texts = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
).map(lambda value: json.dumps(value, ensure_ascii=False, indent=1).encode())
attribute_names = st.text("abcdef0189", min_size=1, max_size=10).filter(lambda name: name not in ("data", *MINIMAL))
attribute_values = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=20)


def event(draft: Draft) -> Event:
    return Route("orders", ()).event(draft, {}, ORIGIN)


def of(changes: dict[str, Any]) -> Event:
    return event(structured(json.dumps(MINIMAL | changes).encode(), 64))


@pytest.mark.parametrize(
    ("format", "carries", "in_body", "form"),
    [
        ("auto", True, False, "original"),
        ("auto", False, True, "original"),
        ("auto", False, False, "cloudevents"),
        ("data", False, False, "data"),
        ("original", False, False, "original"),
        ("cloudevents", True, True, "cloudevents"),
    ],
)
def test_auto_keeps_the_bytes_wherever_the_identity_survives(
    format: str, carries: bool, in_body: bool, form: str
) -> None:
    assert resolve(format, carries, in_body) == form


@given(body=json_texts, extensions=st.dictionaries(attribute_names, attribute_values, max_size=4))
def test_a_binary_event_with_json_becomes_a_valid_structured_one(body: bytes, extensions: dict[str, str]) -> None:
    headers = HEADERS | {f"ce-{name}": encoded(value) for name, value in extensions.items()}
    came = event(binary(headers, "application/vnd.a+json; charset=utf-8", body, 64))
    wrapped, content_type = encode(came, "cloudevents")
    assert content_type == STRUCTURED
    draft = structured(wrapped, 64)
    assert draft.attributes == MINIMAL | extensions | {"datacontenttype": "application/vnd.a+json; charset=utf-8"}
    assert encode(event(draft), "data") == (body.strip(), "application/vnd.a+json; charset=utf-8")


@given(
    body=st.binary(min_size=1, max_size=100), content_type=st.sampled_from(["", "image/png", "text/plain; charset=x"])
)
def test_other_data_is_wrapped_in_base64_and_comes_back_to_the_byte(body: bytes, content_type: str) -> None:
    came = event(binary(HEADERS, content_type, body, 64))
    draft = structured(encode(came, "cloudevents")[0], 64)
    assert encode(event(draft), "data") == (body, content_type or "application/octet-stream")
    assert encode(came, "data") == (body, content_type or "application/octet-stream")


@given(json_texts.filter(lambda text: text.startswith(b"{")))
def test_an_event_without_an_envelope_is_wrapped_into_a_valid_one(body: bytes) -> None:
    came = event(Draft(body, "application/json", NO_ATTRIBUTES, json.loads(body)))
    draft = structured(encode(came, "cloudevents")[0], 64)
    assert draft.attributes == {
        "specversion": "1.0",
        "id": came.id,
        "source": "/routes/orders",
        "type": "orders",
        "datacontenttype": "application/json",
    }
    assert encode(event(draft), "data")[0] == body


@pytest.mark.parametrize("form", ["original", "cloudevents"])
def test_a_structured_event_stays_as_it_came(form: Any) -> None:
    body = json.dumps(MINIMAL | {"ext": 5, "gone": None, "data": {"a": 1}}, indent=2).encode()
    assert encode(event(structured(body, 64)), form) == (body, STRUCTURED)


def test_an_event_without_data_has_none_in_any_form() -> None:
    bare = event(binary(HEADERS, "", b"", 64))
    assert json.loads(encode(bare, "cloudevents")[0]) == MINIMAL
    assert encode(bare, "data")[0] == b""
    assert encode(of({}), "data") == (b"", "application/json")


@pytest.mark.parametrize(
    ("changes", "data", "content_type"),
    [
        ({"data": {"a": [1, 2]}}, b'{"a": [1, 2]}', "application/json"),
        ({"data": None}, b"null", "application/json"),
        ({"data": "text"}, b'"text"', "application/json"),
        ({"data": "<é/>", "datacontenttype": "application/xml"}, "<é/>".encode(), "application/xml"),
        ({"data": "é", "datacontenttype": "text/plain; charset=latin1"}, "é".encode(), "text/plain; charset=utf-8"),
        ({"data": None, "datacontenttype": "text/plain"}, b"", "text/plain"),
        ({"data_base64": "iVA=", "datacontenttype": "image/png"}, b"\x89P", "image/png"),
        ({"data_base64": "e30=", "data": None, "datacontenttype": "application/json"}, b"{}", "application/json"),
        ({"data_base64": None, "data": 5}, b"5", "application/json"),
    ],
)
def test_the_data_of_a_structured_event_is_its_bytes_or_its_text(
    changes: dict[str, Any], data: bytes, content_type: str
) -> None:
    assert encode(of(changes), "data") == (data, content_type)


@given(st.data())
def test_what_is_delivered_as_data_is_what_was_validated(data: st.DataObject) -> None:
    value = data.draw(json_texts.map(json.loads))
    separators = data.draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")]))
    changes = {"data": value}
    if data.draw(st.booleans()):
        changes = {"data_base64": base64.b64encode(json.dumps(value).encode()).decode(), "datacontenttype": "text/json"}
    draft = structured(json.dumps(MINIMAL | changes, separators=separators).encode(), 64)
    delivered, content_type = encode(event(draft), "data")
    assert is_json(content_type)
    assert json.loads(delivered) == draft.data == value


def encoded(value: str) -> str:
    """The value of a header (HTTP binding §3.1.3.2)."""
    return "".join(c if "!" <= c <= "~" and c not in '"%' else "".join(f"%{b:02X}" for b in c.encode()) for c in value)
