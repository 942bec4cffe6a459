"""A dead letter as it is read: what became of an event, and the event's own bytes exactly as they came."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

import orjson
from msgspec import Struct

from service.event import DEAD_LETTER


class NotALetterError(ValueError):
    """A record that is no dead letter of ours. The message says why."""


class Letter(Struct, frozen=True):
    """The parsed envelope (`service.delivery.deadletter.envelope`)."""

    id: str
    """The event's id, whole where its attributes were kept."""
    route: str
    sink: str
    """The sink that did not take the event; empty for an invalid one."""
    reason: str
    detail: str
    attempts: int
    dead_lettered_at: datetime
    content_type: str
    key: str | None
    key_cut: bool
    """Whether `key` is only the beginning of it."""
    attributes: Mapping[str, str] | None
    """None if there was no room for them in the envelope."""
    body: bytes
    size: int
    """Bytes of the letter itself."""
    members: Mapping[str, Any]
    """All of the envelope but the body."""

    @property
    def name(self) -> str:
        """What the letter itself is called: the event, and the sink that did not take it."""
        return f"{self.id}/{self.sink or 'invalid'}"

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """The letter in a record, bare or within a structured CloudEvent. Raises NotALetterError."""
        members = _members(raw)
        body = _body(members)
        try:
            attributes = _strings(members["attributes"]) if "attributes" in members else None
            return cls(
                id=(attributes or {}).get("id") or _string(members["id"]),
                route=_string(members["route"]),
                sink=_string(members["sink"]),
                reason=_string(members["reason"]),
                detail=_string(members["detail"]),
                attempts=int(members["attempts"]),
                dead_lettered_at=_moment(members["dead_lettered_at"]),
                content_type=_string(members["content_type"]),
                key=None if members["key"] is None else _string(members["key"]),
                key_cut=members.get("key_cut") is True,
                attributes=attributes,
                body=body,
                size=len(raw),
                members=members,
            )
        except (LookupError, TypeError, ValueError) as error:
            raise NotALetterError(f"a letter whose envelope is broken: {type(error).__name__}: {error}") from None


def _members(raw: bytes) -> dict[str, Any]:
    try:
        members = orjson.loads(raw)
        if isinstance(members, dict) and members.get("type") == DEAD_LETTER and "dead_letter" not in members:
            encoded = members.get("data_base64")
            members = orjson.loads(base64.b64decode(encoded)) if encoded is not None else members.get("data")
    except (ValueError, TypeError) as error:
        raise NotALetterError(f"not JSON: {error}") from None
    if not isinstance(members, dict) or "dead_letter" not in members:
        raise NotALetterError("JSON, but no dead letter")
    if members["dead_letter"] != "1":
        raise NotALetterError(
            f"a dead letter of version {members['dead_letter']!r:.40}, which this release cannot read"
        )
    return members


def _body(members: dict[str, Any]) -> bytes:
    """The original bytes; they are taken out of `members`."""
    text, encoded = members.pop("body", None), members.pop("body_base64", None)
    try:
        if isinstance(text, str):
            return text.encode()
        if isinstance(encoded, str):
            return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotALetterError(f"a letter whose body cannot be read: {error}") from None
    raise NotALetterError("a letter without a body")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no string")
    return value


def _strings(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r:.40} is no object")
    return {name: _string(each) for name, each in value.items()}


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(_string(value))
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment
