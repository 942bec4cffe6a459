"""The body of a request of Firehose: `{"requestId", "timestamp", "records": [{"data": base64}]}`. Each record is a
message; what is no record is one too, to be refused with its bytes.
"""

from collections.abc import Mapping
from time import perf_counter
from typing import Final

import msgspec
from msgspec import Raw, Struct

from service.envelopes.contract import Message
from service.errors import Code, InvalidEvent, Unreadable
from service.http.room import Hold
from service.http.turns import Pieces
from service.receiving.received import Received

MESSAGE_BYTES: Final = 400
"""What a record takes of memory beside its bytes."""
_STEP_BYTES: Final = 2**20
"""Searched at once: a millisecond."""
_EXPECTED: Final = '{"requestId": "...", "timestamp": 1, "records": [{"data": "..."}]}'


class _Body(Struct, rename="camel"):
    request_id: str
    records: list[Raw]


class _Record(Struct):
    data: bytes


_BODY: Final = msgspec.json.Decoder(_Body)
_RECORD: Final = msgspec.json.Decoder(_Record)


async def read(
    request_id: str, body: bytes, headers: Mapping[str, bytes], most: int, hold: Hold, pieces: Pieces
) -> list[Received]:
    """The messages in `body`, each with `headers`; at most `most`. Read in `pieces`.

    Raises Unreadable (MALFORMED_BODY) if it is not what Firehose sends, Busy or TooLarge if `hold` has no room for its
    messages.
    """
    records = _records(request_id, body, most)
    for name in (b'"records"', b'"requestId"'):
        if await _count(name, body, pieces) != 1:
            # the last one of a name that stands there twice is what was read: records would be lost
            raise _unreadable(f"must have {name.decode()} once, in plain letters")
    found: list[Received] = []
    size, began = 0, perf_counter()
    for index, raw in enumerate(records):
        received = _received(f"{request_id}/{index}", bytes(raw), headers)
        size += received.size
        found.append(received)
        if perf_counter() - began > pieces.seconds:
            hold.demand(max(len(body), size))
            await pieces.pause()
            began = perf_counter()
    hold.demand(max(len(body), size))
    return found


def _records(request_id: str, body: bytes, most: int) -> list[Raw]:
    """The records as they stand there. Raises Unreadable."""
    try:
        found = _BODY.decode(body)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise _unreadable(f"must be {_EXPECTED}: {error}") from None
    except RecursionError:
        raise _unreadable("nests too deep") from None
    if found.request_id != request_id:
        raise _unreadable("its requestId is not that of X-Amz-Firehose-Request-Id")
    if not 1 <= len(found.records) <= most:
        raise _unreadable(f"has {len(found.records)} records; 1 to {most} are taken (max_records)")
    return found.records


async def _count(name: bytes, body: bytes, pieces: Pieces) -> int:
    """How often `name` stands in `body`."""
    found = 0
    for start in range(0, len(body), _STEP_BYTES):
        found += body.count(name, start, start + _STEP_BYTES + len(name) - 1)
        if len(body) > _STEP_BYTES:
            await pieces.pause()
    return found


def _received(place: str, raw: bytes, headers: Mapping[str, bytes]) -> Received:
    try:
        value = _RECORD.decode(raw).data
        if raw.count(b'"data"') != 1:
            raise msgspec.DecodeError("data stands there twice")
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        detail = f'no record: must be {{"data": "..."}} with data in base64: {str(error)[:200]}'
        refusal = InvalidEvent(Code.MALFORMED_EVENT, detail, errors=())
        return Received(Message(raw, headers), place, len(raw) + MESSAGE_BYTES, refusal)
    return Received(Message(value, headers), place, len(value) + MESSAGE_BYTES)


def _unreadable(why: str) -> Unreadable:
    return Unreadable(Code.MALFORMED_BODY, f"the body {why}")
