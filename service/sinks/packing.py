"""Packing: many events in one record, in a form that its readers take apart again, compressed where they can inflate.

Promises: events keep their order; no record and no call is above its limits, whatever compression makes of it; the
same events make the same records; the work grows with the bytes. Why these forms: docs/decisions/013-packing.md.
"""

import zlib
from base64 import b64encode
from collections.abc import Collection, Sequence
from typing import Any, Literal, assert_never

import orjson
import zstandard
from msgspec import Struct

from service.codecs.media import is_json
from service.event import Event
from service.outcome import Outcome, Reason, Rejected, Retry
from service.threads import off_loop

Form = Literal["ndjson", "json_array", "length_prefixed", "none"]
"""How events stand in a record: a line each; elements of one JSON array; each after its length in 4 bytes, big-endian;
or one event alone, as it is."""
Compression = Literal["none", "gzip", "zstd"]
"""Each record is one gzip member (RFC 1952) or one zstd frame (RFC 8878): concatenated they are still a valid file."""

PREFIX_BYTES = 4
OFF_LOOP_BYTES = 32 * 1024
"""From here on compressing leaves the event loop. gzip takes 0.4 ms for so much, zstd 0.1 ms, going to a thread and
back 0.06 ms (orders in JSON, 2-core Xeon)."""
NO_ROOM = Retry(Reason.NO_ROOM, after=0)

PACKED_LINGER_SECONDS = 0.1
"""How long an event waits for its record to fill, where a sink packs and says nothing else."""

_LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")
_BREAKS_LINES = Rejected(
    Reason.REFUSED_CONTENT,
    "a body with a line break, which is not JSON, cannot be one line of a record: use `pack: length_prefixed`",
)
_NOT_JSON = Rejected(
    Reason.REFUSED_CONTENT, "a body that is not JSON cannot stand in an array: use `pack: length_prefixed`"
)
_HEADER_BYTES = 128
"""No gzip member and no zstd frame is longer than what it holds by more than a 256th and this much (zlib's
deflateBound for level 6, zstd's ZSTD_compressBound)."""


def with_linger(settings: Any, packing: str, default: str) -> Any:
    """A sink's raw settings with the `linger` that goes with what they pack, unless they say it themselves.

    `packing` is the name of the setting that says how events are packed, or `none`; `default` what it is if absent.
    """
    if not isinstance(settings, dict):
        return settings
    packs = settings.get(packing, default) != "none"
    return {"linger": PACKED_LINGER_SECONDS if packs else 0.0} | settings


class Packing(Struct, frozen=True):
    """How the events of one write become records."""

    form: Form
    compress: Compression
    record_bytes: int
    """Most bytes of a record, as it travels. Compressed ones hold as much before compression: less than would fit,
    mostly, but a fuller record saves nothing where 64 KB or 5 KB are the unit."""
    record_events: int
    records: int
    """Most records of a call."""
    call_bytes: int
    base64: bool = False
    """Whether records travel as text."""
    newline: bool = False
    """Whether a record that is one event, or one array, ends with a newline."""

    @property
    def overhead_bytes(self) -> int:
        """What each event adds to its record beside its body."""
        match self.form:
            case "ndjson" | "json_array":
                return 1
            case "length_prefixed":
                return PREFIX_BYTES
            case "none":
                return int(self.newline)
            case _:
                assert_never(self.form)

    @property
    def around_bytes(self) -> int:
        """What a record has once: of the brackets and commas of an array there is one more than elements."""
        return 1 + self.newline if self.form == "json_array" else 0

    @property
    def event_bytes(self) -> int:
        """The largest event, with its overhead, that fits a record even if it cannot be compressed."""
        most = _before_base64(self.record_bytes) if self.base64 else self.record_bytes
        if self.compress != "none":
            most = (most - _HEADER_BYTES) * 256 // 257
        return most - self.around_bytes

    @property
    def batch_bytes(self) -> int:
        """Most bytes of events that a call holds without compression."""
        return _before_base64(self.call_bytes) if self.base64 else self.call_bytes

    def piece(self, event: Event) -> bytes | Rejected:
        """The event as it stands in a record; or why it cannot, so that it spoils no other."""
        body = event.body
        match self.form:
            case "ndjson":
                line = body.removesuffix(b"\n")
                if b"\n" not in line and b"\r" not in line:
                    return line
                return line.translate(_LINE_BREAKS) if is_json(event.content_type) else _BREAKS_LINES
            case "json_array":
                return _element(event)
            case "length_prefixed":
                return len(body).to_bytes(PREFIX_BYTES, "big") + body
            case "none":
                return body + b"\n" if self.newline and not body.endswith(b"\n") else body
            case _:
                assert_never(self.form)


def _element(event: Event) -> bytes | Rejected:
    """The body if it is exactly one JSON text. Parsed for that (1 us for 300 B): one false claim spoils an array."""
    if not is_json(event.content_type):
        return _NOT_JSON
    try:
        orjson.loads(event.body)
    except orjson.JSONDecodeError:
        return _NOT_JSON
    return event.body.translate(_LINE_BREAKS).strip()


class Packed(Struct, frozen=True):
    """The records of one call, and for each the positions of its events."""

    records: list[bytes]
    groups: list[list[int]]

    def outcomes(self, pieces: Sequence[bytes | Rejected], told: Sequence[Outcome]) -> list[Outcome]:
        """One outcome per piece: its refusal, that of its record, or NO_ROOM."""
        outcomes: list[Outcome] = [piece if isinstance(piece, Rejected) else NO_ROOM for piece in pieces]
        for group, outcome in zip(self.groups, told, strict=True):
            for position in group:
                outcomes[position] = outcome
        return outcomes


async def packed(pieces: Sequence[bytes | Rejected], packing: Packing, alone: Collection[int] = ()) -> Packed:
    """What `pack` returns. Much that is to be compressed is packed in a thread."""
    if packing.compress != "none":
        size = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
        if size >= OFF_LOOP_BYTES:
            return await off_loop(pack, pieces, packing, alone)
    return pack(pieces, packing, alone)


def pack(pieces: Sequence[bytes | Rejected], packing: Packing, alone: Collection[int] = ()) -> Packed:
    """The records of a call, as full as may be; once a record has no room in the call, nothing after it is placed.

    `alone`: positions of events that share their record with no other.
    """
    call = _Call(pieces, packing)
    each = 1 if packing.form in ("ndjson", "json_array") else 0
    most = 1 if packing.form == "none" else packing.record_events
    group: list[int] = []
    size, room = packing.around_bytes, call.room()
    for position, piece in enumerate(pieces):
        if isinstance(piece, Rejected):
            continue
        grown = len(piece) + each
        if group and (size + grown > room or len(group) >= most or position in alone or group[-1] in alone):
            if not call.seal(group):
                return call.packed
            group, size, room = [], packing.around_bytes, call.room()
        group.append(position)
        size += grown
    if group:
        call.seal(group)
    return call.packed


class _Call:
    """The records of one call in the making."""

    def __init__(self, pieces: Sequence[bytes | Rejected], packing: Packing) -> None:
        self.packed = Packed([], [])
        self._pieces = pieces
        self._packing = packing
        self._left = packing.call_bytes
        self._zstd = zstandard.ZstdCompressor() if packing.compress == "zstd" else None

    def room(self) -> int:
        """Bytes of events that the next record should hold."""
        packing = self._packing
        if packing.compress != "none":
            return packing.record_bytes
        most = min(packing.record_bytes, self._left)
        return _before_base64(most) if packing.base64 else most

    def seal(self, group: list[int]) -> bool:
        """Make a record of these events; several, if it proves too large. False once the call has no room."""
        packing = self._packing
        if len(self.packed.records) == packing.records:
            return False
        record = self._record(group)
        if len(record) > packing.record_bytes and len(group) > 1:
            middle = len(group) // 2
            return self.seal(group[:middle]) and self.seal(group[middle:])
        if len(record) > self._left:
            return False
        self._left -= len(record)
        self.packed.records.append(record)
        self.packed.groups.append(group)
        return True

    def _record(self, group: list[int]) -> bytes:
        packing = self._packing
        data = _joined([self._pieces[position] for position in group], packing)
        match packing.compress:
            case "gzip":
                data = zlib.compress(data, wbits=31)
            case "zstd":
                assert self._zstd is not None
                data = self._zstd.compress(data)
            case "none":
                pass
            case _:
                assert_never(packing.compress)
        return b64encode(data) if packing.base64 else data


def _joined(pieces: list[bytes | Rejected], packing: Packing) -> bytes:
    """The record before compression, in one join."""
    parts = [piece for piece in pieces if isinstance(piece, bytes)]
    match packing.form:
        case "ndjson":
            parts.append(b"")
            return b"\n".join(parts)
        case "json_array":
            parts[0] = b"[" + parts[0]
            parts[-1] += b"]\n" if packing.newline else b"]"
            return b",".join(parts)
        case "length_prefixed" | "none":
            return b"".join(parts)
        case _:
            assert_never(packing.form)


def _before_base64(size: int) -> int:
    """The most bytes whose base64 is no longer than `size`."""
    return size // 4 * 3
