"""Events to bytes: what of an event a destination gets."""

import base64
from typing import Literal, assert_never

import orjson
from msgspec import Raw
from msgspec.json import Decoder

from service.codecs.media import is_json, parse
from service.codecs.tracecontext import extend
from service.event import STRUCTURED, Event

Form = Literal["original", "cloudevents", "data"]

_members = Decoder(dict[str, Raw]).decode
_NULL = Raw(b"null")


def resolve(format: str, carries_attributes: bool, id_in_body: bool) -> Form:
    """The form that `format` means here. `auto` keeps the bytes as they came wherever the identity survives."""
    if format == "auto":
        return "original" if carries_attributes or id_in_body else "cloudevents"
    return format  # type: ignore[return-value]  # what remains of a Format, which only sinks know


def encode(event: Event, form: Form) -> tuple[bytes, str]:
    """Body and media type of `event` in `form`.

    `data` of a structured CloudEvent is its bytes as they came, or its text in UTF-8; a CloudEvent without data has
    none (b""). `cloudevents` embeds JSON data unchanged, and anything else as `data_base64`; it sets no `time`, for
    when an event was received is not when it happened.
    """
    structured = event.content_type.startswith(STRUCTURED)
    match form:
        case "original":
            return event.body, event.content_type
        case "cloudevents":
            return (event.body, event.content_type) if structured else (_wrapped(event), STRUCTURED)
        case "data":
            return _data(event) if structured else (event.body, event.content_type)
        case _:
            assert_never(form)


def _wrapped(event: Event) -> bytes:
    """One structured CloudEvent around the body (CloudEvents 1.0, JSON format, section 3)."""
    attributes = dict(event.attributes)
    if (trace := event.origin.trace) is not None:
        extend(attributes, trace)
    if event.body:
        attributes.setdefault("datacontenttype", event.content_type)
    head = orjson.dumps(attributes)[:-1]
    if not event.body:
        return head + b"}"
    if is_json(event.content_type):
        return head + b',"data":' + event.body + b"}"
    return head + b',"data_base64":"' + base64.b64encode(event.body) + b'"}'


def _data(event: Event) -> tuple[bytes, str]:
    members = _members(event.body)
    content_type = event.attributes.get("datacontenttype", "application/json")
    encoded = bytes(members.get("data_base64", _NULL))
    if encoded != b"null":
        return base64.b64decode(orjson.loads(encoded)), content_type
    if "data" not in members:
        return b"", content_type
    raw = bytes(members["data"])
    if is_json(content_type):
        return raw, content_type
    if raw == b"null":
        return b"", content_type
    return orjson.loads(raw).encode(), _in_utf8(content_type)


def _in_utf8(content_type: str) -> str:
    """The media type of text that is encoded anew: a charset it declares does not hold any more."""
    media = parse(content_type)
    return content_type if media.is_utf8 else f"{media.essence}; charset=utf-8"
