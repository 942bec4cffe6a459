"""A message as one JSON object, with which most codecs begin; and in words, why one is none.

A message that is one event is refused with all of its bytes.
"""

from typing import Any, Final, Literal

from pydantic import Field

from service.codecs.body import plain
from service.codecs.draft import Caps, Draft, Refusal
from service.envelopes.contract import CodecConfig, Message, Skip, SkipReason
from service.envelopes.registry import header
from service.errors import Code, InvalidEvent, TooLarge, Unreadable

JSON: Final = "application/json"
_BYTES = "application/octet-stream"

TOMBSTONE: Final = (Skip(SkipReason.TOMBSTONE),)
CONTROL: Final = (Skip(SkipReason.CONTROL),)


class TombstoneConfig(CodecConfig):
    """The settings of a codec whose format says nothing of tombstones."""

    tombstones: Literal["refuse", "skip"] = Field(
        default="refuse",
        description="What becomes of a Kafka message without a value: `refuse` sends it to the dead letters, for it "
        "may be a delete that is told nowhere else; `skip` counts it and passes it over.",
    )


def document(message: Message, caps: Caps) -> Draft | Refusal:
    """The draft of a message that is one JSON object, ordered by the message's key; or why it is none."""
    found = plain(caps, message.value)
    if isinstance(found, Draft):
        found.key = message.key
        return found
    return explained(found, message)


def explained(refusal: Refusal, message: Message) -> Refusal:
    """`refusal` of `message`, with a better reason where its first byte, or its having none, gives one."""
    if refusal.error.code is not Code.MALFORMED_EVENT:
        return refusal
    if message.tombstone:
        return refused(message.value, "the message is a tombstone: it has a key and no value, and so no event to read")
    if not message.value:
        return refused(message.value, "the message is empty")
    found = header(message.value, message.headers)
    if found is None:
        return refusal
    detail = f"the value {found}, and no registry is configured: send JSON without such a header"
    return Refusal(refusal.body, _BYTES, _invalid(detail))


def refused(body: bytes, detail: str, id: str | None = None) -> Refusal:
    """The refusal of JSON that is no such envelope, which `detail` says of it."""
    return Refusal(body, JSON, _invalid(detail), id)


def refused_whole(body: bytes, error: Unreadable | TooLarge) -> Refusal:
    """The refusal of a message of many items, because of what the reader of bodies finds wrong with the whole."""
    if isinstance(error, TooLarge):
        return Refusal(body, JSON, error)
    code = Code.NESTED_TOO_DEEP if error.code is Code.NESTED_TOO_DEEP else Code.MALFORMED_EVENT
    return Refusal(body, JSON, InvalidEvent(code, error.detail, **{"errors": ()} | error.members))


def object_at(envelope: dict[str, Any], name: str) -> dict[str, Any]:
    """The object that is member `name`; an empty one if there is none."""
    value = envelope.get(name)
    return value if isinstance(value, dict) else {}


def text_at(envelope: dict[str, Any], name: str) -> str:
    """The string that is member `name`, or the digits of an integer; empty if there is neither."""
    value = envelope.get(name)
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else ""


def _invalid(detail: str) -> InvalidEvent:
    return InvalidEvent(Code.MALFORMED_EVENT, detail, errors=())
