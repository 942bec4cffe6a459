"""CloudEvents 1.0: the envelope's rules, in the JSON format and in the binary mode of the HTTP binding.

All mistakes of an envelope are listed at once. Sources: CloudEvents 1.0.2 specification, JSON event format,
HTTP protocol binding.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from service.codecs import json
from service.codecs.draft import NOT_JSON, Draft
from service.codecs.media import is_json
from service.errors import Code, InvalidEvent
from service.event import STRUCTURED

_NAME = re.compile(r"[a-z0-9]+\Z")
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+\Z")
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:(\d\d)(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)\Z")
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*(?:;.*)?\Z", re.DOTALL)
_INT32 = range(-(2**31), 2**31)
_REQUIRED = ("id", "source", "specversion", "type")
_MOST_ERRORS = 10


def structured(body: bytes, nesting: int) -> Draft:
    """The draft in one structured CloudEvent (JSON format). Raises InvalidEvent with all that is wrong.

    `data` is validated as JSON data when `datacontenttype` is absent or JSON; else it is NOT_JSON.
    """
    members = json.loads(body, nesting)
    if not isinstance(members, dict):
        raise InvalidEvent(Code.INVALID_CLOUDEVENT, "a CloudEvent in JSON is an object", errors=[])
    data = members.pop("data", None)
    encoded = members.pop("data_base64", None)
    mistakes: list[dict[str, str]] = []
    if encoded is not None:
        _check_base64(encoded, data, mistakes)
    attributes = {name: _canonical(name, value, mistakes) for name, value in members.items() if value is not None}
    _check(attributes, mistakes)
    if mistakes:
        raise _invalid(mistakes)
    if encoded is not None:
        content = _decoded(attributes, base64.b64decode(encoded), nesting)
    elif data is None or is_json(attributes.get("datacontenttype", "application/json")):
        content = data
    else:
        content = NOT_JSON
    return Draft(body, STRUCTURED, attributes, content)


def binary(headers: Mapping[str, str], content_type: str, body: bytes, nesting: int) -> Draft:
    """The draft in one binary-mode request: attributes from `ce-*` headers, the body as data.

    Header values are unquoted and percent-decoded once (HTTP binding §3.1.3.2).
    """
    mistakes: list[dict[str, str]] = []
    attributes = {}
    for name, value in headers.items():
        if name.startswith("ce-"):
            attribute = name[3:]
            if attribute in ("data", "datacontenttype"):
                mistakes.append(_mistake(attribute, "name", f"header ce-{attribute} is not allowed in binary mode"))
            try:
                attributes[attribute] = _header_value(value)
            except UnicodeDecodeError:
                mistakes.append(_mistake(attribute, "encoding", "percent-decodes to invalid UTF-8"))
                attributes[attribute] = "?"
    if content_type:
        attributes["datacontenttype"] = content_type
    _check(attributes, mistakes)
    if mistakes:
        raise _invalid(mistakes)
    data = _decoded(attributes, body, nesting) if body else None
    return Draft(body, content_type or "application/octet-stream", attributes, data)


def _decoded(attributes: Mapping[str, str], data: bytes, nesting: int) -> Any:
    if "datacontenttype" in attributes and is_json(attributes["datacontenttype"]):
        return json.loads(data, nesting)
    return NOT_JSON


def _header_value(value: str) -> str:
    """The attribute in a header's value. HTTP hands octets over as Latin-1."""
    text = value.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    return unquote_to_bytes(text.encode("latin-1", "replace")).decode()


def _canonical(name: str, value: Any, mistakes: list[dict[str, str]]) -> str:
    """The attribute's canonical string (CloudEvents type system)."""
    match value:
        case str():
            return value
        case bool() if name not in _REQUIRED:
            return "true" if value else "false"
        case int() if name not in _REQUIRED:
            if value not in _INT32:
                mistakes.append(_mistake(name, "type", "an integer attribute has 32 bits"))
            return str(value)
        case _:
            allowed = "a string" if name in _REQUIRED else "a string, a boolean or a 32-bit integer"
            mistakes.append(_mistake(name, "type", f"must be {allowed}"))
            return "?"


def _check(attributes: Mapping[str, str], mistakes: list[dict[str, str]]) -> None:
    for name in _REQUIRED:
        if not attributes.get(name):
            mistakes.append(_mistake(name, "required", f"{name} is required and must not be empty"))
    if attributes.get("specversion") not in (None, "", "?", "1.0"):
        mistakes.append(_mistake("specversion", "enum", 'must be "1.0"'))
    for name, value in attributes.items():
        if not _NAME.match(name):
            mistakes.append(_mistake(name, "name", "attribute names are lower-case letters and digits"))
        elif value != "?":
            _check_value(name, value, mistakes)


def _check_value(name: str, value: str, mistakes: list[dict[str, str]]) -> None:
    match name:
        case "source" if value and not _URI_REFERENCE.match(value):
            mistakes.append(_mistake(name, "format", "must be a URI reference (RFC 3986)"))
        case "dataschema" if not (_URI_REFERENCE.match(value) and _ABSOLUTE_URI.match(value)):
            mistakes.append(_mistake(name, "format", "must be an absolute URI"))
        case "subject" if not value:
            mistakes.append(_mistake(name, "minLength", "must not be empty"))
        case "datacontenttype" if not _MEDIA_TYPE.match(value):
            mistakes.append(_mistake(name, "format", "must be a media type (RFC 2046)"))
        case "time" if not _is_time(value):
            mistakes.append(_mistake(name, "format", "must be a timestamp (RFC 3339) with a zone"))
        case _:
            pass


def _is_time(value: str) -> bool:
    match = _TIME.match(value)
    if match is None:
        return False
    # 60 is a leap second, which datetime does not know.
    plain = value[:17] + ("59" if match[1] == "60" else match[1])
    try:
        datetime.strptime(plain.upper(), "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return False
    zone = value[-6:]
    return value[-1] in "zZ" or (int(zone[1:3]) < 24 and int(zone[4:]) < 60)


def _check_base64(encoded: Any, data: Any, mistakes: list[dict[str, str]]) -> None:
    if data is not None:
        mistakes.append(_mistake("data_base64", "not", "data and data_base64 exclude each other"))
    if not isinstance(encoded, str):
        mistakes.append(_mistake("data_base64", "type", "must be a string in base64"))
        return
    try:
        base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        mistakes.append(_mistake("data_base64", "format", "is not base64 (RFC 4648 section 4)"))


def _mistake(name: str, keyword: str, detail: str) -> dict[str, str]:
    escaped = name[:80].replace("~", "~0").replace("/", "~1")
    return {"pointer": f"#/{escaped}", "keyword": keyword, "detail": detail}


def _invalid(mistakes: list[dict[str, str]]) -> InvalidEvent:
    first = mistakes[0]
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    return InvalidEvent(
        Code.INVALID_CLOUDEVENT,
        f"{first['pointer']}: {first['detail']}{more}",
        errors=mistakes[:_MOST_ERRORS],
    )
