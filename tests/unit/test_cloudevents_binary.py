"""CloudEvents 1.0.2: the binary mode of the HTTP binding."""

import pytest

from service.codecs.cloudevents import binary
from service.codecs.draft import NOT_JSON
from service.errors import InvalidEvent
from tests.unit.test_cloudevents import MINIMAL, places

HEADERS = {f"ce-{name}": str(value) for name, value in MINIMAL.items()}


def test_a_binary_request_has_its_attributes_in_headers_and_its_data_in_the_body() -> None:
    headers = HEADERS | {"content-type": "application/json", "ce-ext": "5", "x-other": "no"}
    draft = binary(headers, "application/json; charset=utf-8", b'{"a": 1}', 64)
    assert draft.attributes == MINIMAL | {"ext": "5", "datacontenttype": "application/json; charset=utf-8"}
    assert (draft.body, draft.data) == (b'{"a": 1}', {"a": 1})


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("%e2%82%ac", "€"),
        ("%41", "A"),
        ("%2541", "%41"),
        ("100%", "100%"),
        ("a+b", "a+b"),
        (' "quoted \\"text\\" \\\\ %41" ', 'quoted "text" \\ A'),
        ('"', '"'),
        ('"a" and "b"', '"a" and "b"'),
        ('"ends\\"', '"ends\\"'),
        ("€".encode().decode("latin-1"), "€"),
    ],
)
def test_a_header_is_unquoted_and_percent_decoded_once(header: str, value: str) -> None:
    assert binary(HEADERS | {"ce-subject": header}, "", b"", 64).attributes["subject"] == value


@pytest.mark.parametrize("header", ["%C0%A0", "%FF", "%ED%A0%80", "\u00e9", "€"])
def test_a_header_that_is_not_utf_8_is_refused(header: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        binary(HEADERS | {"ce-subject": header}, "", b"", 64)
    assert places(caught.value) == [("#/subject", "encoding")]


def test_a_percent_encoded_control_character_is_refused() -> None:
    with pytest.raises(InvalidEvent) as caught:
        binary(HEADERS | {"ce-id": "a%0Ab"}, "", b"", 64)
    assert places(caught.value) == [("#/id", "pattern")]


@pytest.mark.parametrize("name", ["data", "datacontenttype", "data_base64", "", "a-b", "A"])
def test_a_header_that_is_no_attribute_is_refused(name: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        binary(HEADERS | {f"ce-{name}": "x"}, "", b"", 64)
    assert places(caught.value) == [(f"#/{name}", "name")]


@pytest.mark.parametrize("name", MINIMAL)
def test_a_required_header_must_be_there_and_filled(name: str) -> None:
    for headers in ({k: v for k, v in HEADERS.items() if k != f"ce-{name}"}, HEADERS | {f"ce-{name}": " "}):
        with pytest.raises(InvalidEvent) as caught:
            binary(headers, "", b"", 64)
        assert places(caught.value) == [(f"#/{name}", "required")]


def test_a_binary_body_is_read_as_what_its_type_says() -> None:
    assert binary(HEADERS, "", b"", 64).data is None
    assert binary(HEADERS, "application/json", b"", 64).data is None
    assert binary(HEADERS, "", b"{}", 64).data is NOT_JSON
    assert binary(HEADERS, "", b"{}", 64).content_type == "application/octet-stream"
    assert binary(HEADERS, "image/png", b"\x89", 64).data is NOT_JSON
    for body in (b"{", b" ", '"é"'.encode("latin-1")):
        with pytest.raises(InvalidEvent, match="the body: not JSON"):
            binary(HEADERS, "application/json", body, 64)
    with pytest.raises(InvalidEvent, match="JSON is UTF-8"):
        binary(HEADERS, "application/json; charset=utf-16", "{}".encode("utf-16"), 64)
