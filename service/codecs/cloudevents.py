"""CloudEvents 1.0: one event in the JSON format, or in the binary mode of the HTTP and the Kafka binding.

What is delivered is what was checked: a CloudEvent whose members repeat is refused, for readers differ in which
one they take. Sources: CloudEvents 1.0.2 JSON event format, HTTP and Kafka protocol bindings.
"""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from msgspec import Raw
from msgspec.json import Decoder

from service.codecs import json
from service.codecs.attributes import REQUIRED, Mistakes, check, flaw_of_id, sound_length
from service.codecs.draft import NOT_JSON, Draft
from service.codecs.media import is_json
from service.errors import Code, InvalidEvent
from service.event import STRUCTURED

_INT32 = range(-(2**31), 2**31)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NOT_ATTRIBUTES = ("data", "datacontenttype")
_DATA = b',"data":'
"""Cannot stand in a string, where quotation marks are escaped: the first one is the event's own, or deeper."""
_MOST_USUAL = 1024
"""Bytes before the data of an event that is written as most are."""
_LEAST_MEMBER = len('"":0,')


def structured(body: bytes, nesting: int) -> Draft:
    """The draft in one structured CloudEvent (JSON format). Raises InvalidEvent with all that is wrong.

    `data` is validated as JSON data when `datacontenttype` is absent or JSON; else it must be a string, and the
    draft's data is NOT_JSON. An attribute that is null is not set; nor is `data` or `data_base64` where the other
    one is.
    """
    usual = _usual(body, nesting)
    if usual is not None:
        return usual
    members = json.loads(body, nesting)
    if not isinstance(members, dict):
        raise InvalidEvent(Code.INVALID_CLOUDEVENT, "a CloudEvent in JSON is an object", errors=())
    repeated = _repeated(body)
    data = members.pop("data", None)
    mistakes = Mistakes()
    for name in repeated:
        mistakes.add(name, "uniqueItems", "stands there more than once")
    encoded = members.pop("data_base64", None)
    attributes: dict[str, str] = {}
    for name, value in members.items():
        if type(value) is str:
            attributes[name] = value
        elif value is not None:
            _canonical(name, value, attributes, mistakes)
    content_type = attributes.get("datacontenttype")
    json_data = content_type is None or is_json(content_type)
    decoded = _base64(encoded, data, mistakes) if encoded is not None else None
    if not json_data and data is not None and type(data) is not str:
        mistakes.add("data", "type", "must be a string, for datacontenttype is not JSON; or use data_base64")
    check(attributes, mistakes)
    mistakes.demand_none()
    if decoded is not None:
        data = _content(content_type, decoded, "data_base64", nesting)
    elif data is not None and not json_data:
        data = NOT_JSON
    return Draft(body, STRUCTURED, attributes, data)


def _usual(body: bytes, nesting: int) -> Draft | None:
    """The draft of an event that is written as most are: without blanks between its members, its data at the end.

    Its attributes and its data are read apart. None if it is not so, or anything is wrong with it. What the attributes
    take of the body when each stands there once is all that there is before the data, so none is there twice.
    """
    at = body.find(_DATA)
    if not 0 < at < _MOST_USUAL or body[-1:] != b"}" or json.nests_deeper(body, nesting):
        return None
    head = body[:at]
    try:
        attributes = orjson.loads(head + b"}")
        # so nothing is escaped and all is ASCII, of which JSON leaves one control character to look for
        if sound_length(attributes) != at or b"\x7f" in head:
            return None
        return Draft(body, STRUCTURED, attributes, orjson.loads(body[at + len(_DATA) : -1]))
    except (ValueError, TypeError, AttributeError):
        return None  # no JSON, no object, or an attribute that is no string


def binary(headers: Mapping[str, str], content_type: str, body: bytes, nesting: int) -> Draft:
    """The draft in one binary-mode request: attributes from `ce-*` headers, the body as data.

    Header values are unquoted and percent-decoded once (HTTP binding §3.1.3.2); an attribute whose value is not
    UTF-8 then is refused. `headers` have lower-cased names, each of them once.
    """
    mistakes = Mistakes()
    attributes = {}
    for header, value in headers.items():
        if header.startswith("ce-"):
            name = header[3:]
            if name in _NOT_ATTRIBUTES:
                mistakes.add(
                    name, "name", f"header {header} is not allowed in binary mode; send Content-Type and a body"
                )
                continue
            try:
                attributes[name] = _header_value(value)
            except UnicodeError:
                mistakes.add(name, "encoding", f"header {header}: percent-decodes to invalid UTF-8")
    return _assembled(attributes, mistakes, content_type, body, nesting)


def from_message(headers: Mapping[str, bytes], content_type: str, body: bytes, nesting: int) -> Draft:
    """The draft in one message in the binary mode of the Kafka binding: attributes from `ce_*` headers.

    Their values are UTF-8, and as they stand: neither quoted nor percent-encoded (Kafka binding §3.2.3). Raises
    InvalidEvent with all that is wrong. `headers` have lower-cased names.
    """
    mistakes = Mistakes()
    attributes = {}
    for header, value in headers.items():
        if header.startswith("ce_"):
            name = header[3:]
            if name in _NOT_ATTRIBUTES:
                mistakes.add(
                    name, "name", f"header {header} is not allowed in binary mode; send content-type and a value"
                )
                continue
            try:
                attributes[name] = value.decode()
            except UnicodeError:
                mistakes.add(name, "encoding", f"header {header}: is not UTF-8")
    return _assembled(attributes, mistakes, content_type, body, nesting)


def _assembled(attributes: dict[str, str], mistakes: Mistakes, content_type: str, body: bytes, nesting: int) -> Draft:
    """The draft of a binary-mode event whose attributes are read, with the `mistakes` that were made in them."""
    if content_type:
        attributes["datacontenttype"] = content_type
    check(attributes, mistakes)
    mistakes.demand_none()
    data = _content(content_type, body, "the body", nesting) if body else None
    return Draft(body, content_type or "application/octet-stream", attributes, data)


def declared(headers: Mapping[str, str], content_type: str | None) -> dict[str, str]:
    """The attributes that a binary-mode request declares, unchecked; those that cannot be decoded as they stand."""
    found = {}
    for header, value in headers.items():
        if header.startswith("ce-"):
            try:
                found[header[3:]] = _header_value(value)
            except UnicodeError:
                found[header[3:]] = value
    return found | ({"datacontenttype": content_type} if content_type else {})


def id_in_body(body: bytes) -> str | None:
    """The `id` of a structured CloudEvent that was refused, if one can be read and is fit to be shown."""
    try:
        return fit(json.loads(body, json.MOST_NESTING)["id"])
    except (InvalidEvent, LookupError, TypeError):
        return None


def id_in_headers(headers: Mapping[str, str]) -> str | None:
    """The same of a binary-mode request."""
    try:
        return fit(_header_value(headers.get("ce-id", "")))
    except UnicodeError:
        return None


def fit(id_: Any) -> str | None:
    """`id_` if it is an event's id, and fit to be shown."""
    return id_ if type(id_) is str and id_ and flaw_of_id(id_) is None else None


class _Name:
    """A member's name. Equal to none but itself, so that a dict of them keeps repeated names."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_members = Decoder(dict[str, Raw]).decode
_pairs = Decoder(dict[_Name, Raw], dec_hook=lambda _, text: _Name(text)).decode


def _repeated(body: bytes) -> list[str]:
    """Names that the object `body` has more than once."""
    members = _members(body)
    # {"name":value,"name":value} without a blank; what a member more would need is not there.
    compact = 1 + sum(map(len, members)) + sum(map(len, members.values())) + 4 * len(members)
    if len(body) - compact < _LEAST_MEMBER:
        return []
    return [name for name, count in Counter(pair.text for pair in _pairs(body)).items() if count > 1]


def _content(content_type: str | None, data: bytes, place: str, nesting: int) -> Any:
    """The decoded JSON in `data`, or NOT_JSON if `content_type` does not declare it."""
    if content_type is None or not is_json(content_type):
        return NOT_JSON
    try:
        return json.loads(data, nesting)
    except InvalidEvent as error:
        detail = f"{place}: {error.detail} (the event's content type declares JSON)"
        raise InvalidEvent(error.code, detail, **error.members) from None


def _header_value(value: str) -> str:
    """The attribute in a header's value. HTTP hands octets over as Latin-1. Raises UnicodeError."""
    text = value.strip(" \t")
    if text[:1] == '"' and (quoted := _QUOTED.fullmatch(text)):
        text = _ESCAPED.sub(r"\1", quoted[1])
    return unquote_to_bytes(text.encode("latin-1")).decode()


def _canonical(name: str, value: Any, attributes: dict[str, str], mistakes: Mistakes) -> None:
    """Set the attribute to its canonical string (CloudEvents type system)."""
    if name not in REQUIRED:
        if type(value) is bool:
            attributes[name] = "true" if value else "false"
            return
        if type(value) is int and value in _INT32:
            attributes[name] = str(value)
            return
    allowed = "a string" if name in REQUIRED else "a string, a boolean or an integer of 32 bits"
    mistakes.add(name, "type", f"must be {allowed}")


def _base64(encoded: Any, data: Any, mistakes: Mistakes) -> bytes:
    """The bytes in `data_base64`; empty, with a mistake, if there are none."""
    if data is not None:
        mistakes.add("data_base64", "not", "data and data_base64 exclude each other")
    if type(encoded) is not str:
        mistakes.add("data_base64", "type", "must be a string in base64")
        return b""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        mistakes.add("data_base64", "format", "is not base64 (RFC 4648 section 4)")
        return b""
