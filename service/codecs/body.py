"""Bodies to drafts: which of the formats a request's body has, and the items in it."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import NoReturn

import msgspec

from service.codecs import cloudevents, json
from service.codecs.draft import Caps, Decoded, Draft, Refusal
from service.codecs.media import MediaType, parse
from service.errors import Code, InvalidEvent, TooLarge, Unreadable, Unsupported
from service.event import NO_ATTRIBUTES, STRUCTURED

_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_BATCH = "application/cloudevents-batch+json"
_ENVELOPE = "application/cloudevents"
_ALLOWED = (
    "application/json, application/x-ndjson, application/jsonl, application/cloudevents+json, "
    "application/cloudevents-batch+json, or any type with ce-* headers"
)
Reader = Callable[[bytes], Iterable[Decoded]]
"""From a body to what it holds, item by item, so that a caller may pause on a huge one; what is no event is a Refusal.

Before the first item it raises Unreadable (EMPTY_BODY, MALFORMED_BODY also for a body that is to be one event and is
not JSON, NESTED_TOO_DEEP) or TooLarge (BATCH_TOO_LARGE) about the whole. An empty batch is refused although CloudEvents
allows it: there is nothing to answer for. What nests too deep is refused by item, unless it is so deep that its array
cannot be split. Of a body that is one event, and no batch, the items are a tuple.
"""

_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_BLANK = b" \t\r\n"
_FILLED = re.compile(rb"[^ \t\r\n]")
_FILLED_LINE = re.compile(rb"[^ \t\r\n][^\n]*")
_MOST_UNCOUNTED = 100_000
"""An array that may have more items is counted before it is split: each item of the list takes 72 bytes."""


def reader(
    content_type: str | None, headers: Mapping[str, str], caps: Caps, plain_text_as_json: bool = False
) -> Reader:
    """What reads the bodies of requests with these headers (lower-cased names): found once for all that have the same.

    The mode is found as the CloudEvents HTTP binding says: batch, structured, binary by `ce-*` headers; then plain JSON
    (an object, or an array of objects) and lines of JSON. Raises Unreadable (MALFORMED_HEADER) or Unsupported
    (UNSUPPORTED_MEDIA_TYPE).
    """
    media = parse(content_type) if content_type is not None else None
    if media is not None and media.essence.startswith(_ENVELOPE):
        _demand_utf8(media)
        if media.essence == _BATCH:
            return partial(_batch, caps)
        if media.essence != STRUCTURED:
            _unsupported(media)
        return partial(_one, partial(structured, caps))
    if any(name.startswith("ce-") for name in headers):
        return partial(_one_binary, headers, content_type or "", caps)
    if media is None:
        raise Unsupported(
            Code.UNSUPPORTED_MEDIA_TYPE, f"Content-Type is missing; allowed: {_ALLOWED}", allowed=_ALLOWED
        )
    if media.essence in _LINES:
        _demand_utf8(media)
        return partial(lines, caps)
    if not media.is_json and not (plain_text_as_json and media.essence == "text/plain"):
        _unsupported(media)
    _demand_utf8(media)
    return partial(_json, caps)


def _batch(caps: Caps, body: bytes) -> Iterable[Decoded]:
    if _first(body) != b"[":
        raise Unreadable(Code.MALFORMED_BODY, "a batch is a JSON array of CloudEvents")
    return array(body, partial(structured, caps), caps)


def _json(caps: Caps, body: bytes) -> Iterable[Decoded]:
    if _first(body) == b"[":
        return array(body, partial(plain, caps), caps)
    return _one(partial(plain, caps), body)


def _one(decode: Callable[[bytes], Decoded], body: bytes) -> Iterable[Decoded]:
    """The one item of a body that has no others: if that is not JSON, nothing of the request can be read."""
    found = decode(body)
    if type(found) is Refusal and isinstance(found.error, json.NotJson):
        _first(body)
        raise Unreadable(Code.MALFORMED_BODY, found.error.detail)
    return (found,)


def _demand_utf8(media: MediaType) -> None:
    if not media.is_utf8:
        raise Unsupported(
            Code.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type: charset {media.charset!r:.40} is not taken; send UTF-8",
            allowed="utf-8",
        )


def _unsupported(media: MediaType) -> NoReturn:
    hint = ""
    if media.essence in _FORMS:
        hint = " (form types and text/plain are not taken, because they would let any web page post)"
    raise Unsupported(
        Code.UNSUPPORTED_MEDIA_TYPE,
        f"Content-Type {media.essence!r:.100} is not taken{hint}; allowed: {_ALLOWED}",
        allowed=_ALLOWED,
    )


def _first(body: bytes) -> bytes:
    """The first byte that is not blank. Raises Unreadable (EMPTY_BODY) if there is none."""
    match = _FILLED.search(body)
    if match is None:
        raise Unreadable(Code.EMPTY_BODY, "the body is empty; send an event")
    return match[0]


def array(body: bytes, decode: Callable[[bytes], Decoded], caps: Caps) -> Iterable[Decoded]:
    """What `decode` finds in each item of the JSON array `body`.

    Raises Unreadable (MALFORMED_BODY, EMPTY_BODY, NESTED_TOO_DEEP) or TooLarge (BATCH_TOO_LARGE) about the whole.
    """
    if body.count(b",") >= _MOST_UNCOUNTED and (count := json.count_items(body, caps.events)) > caps.events:
        raise _too_many(f"more than {caps.events}", count, caps)
    try:
        items = _items(body)
    except RecursionError:
        error = json.too_deep(caps.nesting)
        raise Unreadable(error.code, error.detail, limit=caps.nesting) from None
    except msgspec.MsgspecError as error:
        raise Unreadable(Code.MALFORMED_BODY, f"not a JSON array: {error}") from None
    if not items:
        raise Unreadable(Code.EMPTY_BODY, "the array is empty; send at least one event")
    if len(items) > caps.events:
        raise _too_many(str(len(items)), len(items), caps)
    return map(decode, map(bytes, items))


def lines(caps: Caps, body: bytes) -> Iterable[Decoded]:
    """The event in each line that is not blank. Raises Unreadable (EMPTY_BODY) or TooLarge (BATCH_TOO_LARGE)."""
    _first(body)
    filled: Iterable[bytes]
    if body.count(b"\n") >= caps.events:
        count = sum(1 for _ in islice(_FILLED_LINE.finditer(body), caps.events + 1))
        if count > caps.events:
            raise _too_many(f"more than {caps.events}", count, caps)
        # without a list of the lines that are blank
        filled = (match[0].rstrip(_BLANK) for match in _FILLED_LINE.finditer(body))
    else:
        filled = filter(None, [line.strip(_BLANK) for line in body.split(b"\n")])
    return map(partial(plain, caps), filled)


def _too_many(found: str, actual: int, caps: Caps) -> TooLarge:
    return TooLarge(
        Code.BATCH_TOO_LARGE,
        f"{found} events in one body; at most {caps.events} are taken: send them in several requests",
        limit=caps.events,
        actual=actual,
    )


def structured(caps: Caps, body: bytes) -> Decoded:
    """The draft in one structured CloudEvent, or why it is none. Never raises."""
    if len(body) > caps.event_bytes:
        return oversize(body, STRUCTURED, caps)
    try:
        return cloudevents.structured(body, caps.nesting)
    except InvalidEvent as error:
        return Refusal(body, STRUCTURED, error, cloudevents.id_in_body(body))


def _one_binary(headers: Mapping[str, str], content_type: str, caps: Caps, body: bytes) -> Iterable[Decoded]:
    media = content_type or "application/octet-stream"
    if len(body) > caps.event_bytes:
        return (oversize(body, media, caps),)
    try:
        return (cloudevents.binary(headers, content_type, body, caps.nesting),)
    except InvalidEvent as error:
        return (Refusal(body, media, error, cloudevents.id_in_headers(headers)),)


def plain(caps: Caps, body: bytes) -> Decoded:
    """The draft in one JSON object without an envelope, or why it is none. Never raises."""
    if len(body) > caps.event_bytes:
        return oversize(body, "application/json", caps)
    try:
        data = json.loads(body, caps.nesting)
        if body[:1] != b"{" and _first(body) != b"{":
            raise InvalidEvent(Code.MALFORMED_EVENT, "an event is a JSON object, not another value", errors=())
    except InvalidEvent as error:
        return Refusal(body, "application/json", error)
    return Draft(body, "application/json", NO_ATTRIBUTES, data)


def oversize(body: bytes, content_type: str, caps: Caps) -> Refusal:
    """The refusal of an event that has more bytes than `caps` allow."""
    error = TooLarge(
        Code.EVENT_TOO_LARGE,
        f"the event has {len(body)} bytes; at most {caps.event_bytes} are taken",
        limit=caps.event_bytes,
        actual=len(body),
    )
    return Refusal(body, content_type, error)
