"""CloudEvents in messages: the Kafka protocol binding, and the same names as attributes of SQS messages."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from service.codecs.body import oversize, structured
from service.codecs.cloudevents import fit, from_message
from service.codecs.draft import Caps, Draft, Refusal
from service.codecs.media import parse
from service.envelopes.contract import Found, Message
from service.envelopes.document import TOMBSTONE, TombstoneConfig, explained
from service.errors import Code, InvalidEvent, Unreadable
from service.event import STRUCTURED

_ENVELOPE = b"application/cloudevents"
_CONTENT_TYPE = "content-type"
_PREFIX = "ce_"
_BYTES = "application/octet-stream"
_SHORT = 128
"""Bytes of a content type that is remembered."""


class CloudEvents:
    """One CloudEvent per message. Documented: CloudEvents 1.0.2, Kafka protocol binding and JSON event format.

    Structured, by a header `content-type` of `application/cloudevents+json`; else binary, by headers `ce_*`, whose
    values are UTF-8 and not percent-encoded; else structured by its body alone, which has `specversion`.
    Identity, source, type, time: the event's. Key: its `partitionkey`, else the message's. `data`: the event's data.
    Deletes: a tombstone with `ce_*` headers is an event without data, as the binding says; one without is refused, or
    with `tombstones: skip` passed over. Control records: there are none.
    Batches are refused: the binding has none.
    """

    class Config(TombstoneConfig):
        """`codec: cloudevents`."""

    def __init__(self, config: Config, caps: Caps) -> None:
        self._caps = caps
        self._skips = config.tombstones == "skip"

    def decode(self, message: Message) -> Iterable[Found]:
        """The event in `message`."""
        headers = message.headers
        found: Draft | Refusal
        if not headers:
            found = structured(self._caps, message.value)
        else:
            content_type = headers.get(_CONTENT_TYPE, b"")
            if content_type[: len(_ENVELOPE)].lower() == _ENVELOPE:
                flaw = _remembered(content_type) if len(content_type) <= _SHORT else _flaw(content_type)
                found = _unfit(message.value, flaw) if flaw else structured(self._caps, message.value)
            elif _is_binary(headers):
                found = self._binary(message, content_type)
            else:
                found = structured(self._caps, message.value)
        if isinstance(found, Draft):
            found.key = found.attributes.get("partitionkey") or message.key
            return (found,)
        if message.tombstone and self._skips and not _is_binary(headers):
            return TOMBSTONE
        return (explained(found, message),)

    def _binary(self, message: Message, content_type: bytes) -> Draft | Refusal:
        body, caps = message.value, self._caps
        try:
            media = content_type.decode()
        except UnicodeError:
            return _unfit(body, f"header {_CONTENT_TYPE}: is not UTF-8")
        if len(body) > caps.event_bytes:
            return oversize(body, media or _BYTES, caps)
        try:
            return from_message(message.headers, media, body, caps.nesting)
        except InvalidEvent as error:
            return Refusal(body, media or _BYTES, error, _id(message.headers))


def _unfit(body: bytes, detail: str) -> Refusal:
    return Refusal(body, _BYTES, InvalidEvent(Code.INVALID_CLOUDEVENT, detail, errors=()))


def _id(headers: Mapping[str, bytes]) -> str | None:
    """The id of an event that was refused, if one can be read."""
    try:
        return fit(headers.get("ce_id", b"").decode())
    except UnicodeError:
        return None


def _is_binary(headers: Mapping[str, bytes]) -> bool:
    if "ce_id" in headers:
        return True
    for name in headers:  # noqa: SIM110 - a generator costs more than the loop
        if name.startswith(_PREFIX):
            return True
    return False


def _flaw(content_type: bytes) -> str:
    """Why a value of this media type, one of CloudEvents, is not taken; empty if it is."""
    try:
        media = parse(content_type.decode())
    except UnicodeError:
        return f"header {_CONTENT_TYPE}: is not UTF-8"
    except Unreadable as error:
        return error.detail
    if media.essence != STRUCTURED:
        return f"header {_CONTENT_TYPE}: {media.essence!r:.100} is not taken; send {STRUCTURED}, one event per message"
    return "" if media.is_utf8 else f"header {_CONTENT_TYPE}: charset {media.charset!r:.40} is not taken; send UTF-8"


_remembered = lru_cache(256)(_flaw)
