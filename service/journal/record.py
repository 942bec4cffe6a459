"""Rows of the journal as bytes: the events of a few requests to one route, with where they came from."""

import zlib
from collections.abc import Iterable, Sequence

import msgspec

from service.codecs.tracecontext import extend
from service.event import Event, Origin

_Written = tuple[str, str | None, bytes, str, dict[str, str], bool]
_Group = tuple[str, float, str, str, list[_Written]]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Group]).decode


class Damaged(Exception):
    """A row is not what was written."""


def encode(requests: Iterable[Sequence[Event]]) -> bytes:
    """The row of these requests' events, none of which is empty."""
    return _encode([(*_origin(events[0].origin), list(map(_written, events))) for events in requests])


def _origin(origin: Origin) -> tuple[str, float, str, str]:
    return origin.source, origin.received_at, origin.address, origin.request_id


def _written(event: Event) -> _Written:
    attributes = dict(event.attributes)
    if (trace := event.origin.trace) is not None:
        extend(attributes, trace)  # a row has no other place for it
    return event.id, event.key, event.body, event.content_type, attributes, event.id_in_body


def decode(row: bytes, route: str, count: int | None = None) -> list[Event]:
    """The events of a row of `route`, in their order. Raises Damaged, also if they are not `count`."""
    try:
        groups = _decode(row)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged(str(error)) from error
    decoded = [
        Event(id, route, key, body, content_type, attributes, origin, id_in_body)
        for source, received_at, address, request_id, events in groups
        for origin in (Origin(source, received_at, address, request_id),)
        for id, key, body, content_type, attributes, id_in_body in events
    ]
    if count is not None and len(decoded) != count:
        raise Damaged(f"there are {len(decoded)} in the row")
    return decoded


def checksum(row: bytes) -> int:
    """CRC-32 of a row: SQLite has checksums in its log alone, not in the pages that rows come to rest in."""
    return zlib.crc32(row)
