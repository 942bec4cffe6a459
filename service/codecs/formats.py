"""Events to bytes: what of an event a destination gets."""

import base64
from typing import Literal

import orjson
from msgspec import Raw
from msgspec.json import Decoder

from service.codecs.media import is_json
from service.event import STRUCTURED, Event

Form = Literal["original", "cloudevents", "data"]

_members = Decoder(dict[str, Raw]).decode


def resolve(format: str, carries_attributes: bool, id_in_body: bool) -> Form:
    """The form that `format` means here. `auto` keeps the bytes as they came wherever the identity survives."""
    if format == "auto":
        return "original" if carries_attributes or id_in_body else "cloudevents"
    return format  # type: ignore[return-value]


def encode(event: Event, form: Form) -> tuple[bytes, str]:
    """Body and media type of `event` in `form`.

    `data` of a structured CloudEvent is its bytes as they came; a CloudEvent without data has none (b"").
    `cloudevents` embeds JSON data unchanged, and anything else as `data_base64`.
    """
    structured = event.content_type.startswith(STRUCTURED)
    match form:
        case "original":
            return event.body, event.content_type
        case "cloudevents":
            return (event.body, event.content_type) if structured else (_wrapped(event), STRUCTURED)
        case "data":
            return _data(event) if structured else (event.body, event.content_type)


def _wrapped(event: Event) -> bytes:
    """One structured CloudEvent around the body (CloudEvents 1.0, JSON format, section 3)."""
    attributes = dict(event.attributes)
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
    if "data" in members:
        raw = bytes(members["data"])
        if not is_json(content_type) and raw[:1] == b'"':
            return orjson.loads(raw).encode(), content_type
        return raw, content_type
    if "data_base64" in members:
        return base64.b64decode(orjson.loads(bytes(members["data_base64"]))), content_type
    return b"", content_type
