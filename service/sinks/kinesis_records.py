"""The records of one PutRecords: each event its own, or aggregated by shard; and what became of them as outcomes."""

import hashlib
from binascii import b2a_base64
from collections.abc import Sequence
from typing import TypedDict

from msgspec import Struct

from service.aws.requests import encode
from service.aws.shardmap import ShardMap, hash_key
from service.codecs.kpl import PARTITION_KEY, Aggregate
from service.event import Event
from service.outcome import DELIVERED, Outcome
from service.sinks.packing import NO_ROOM

RECORDS = 500
"""Most records of one PutRecords (Kinesis API reference)."""
ID_BYTES = 64
"""Ids up to here are partition keys as they are; longer ones become as long by hashing."""
UNIT_BYTES = 25 * 2**10
"""A PUT payload unit: 25 KB of one record, taken as KiB, as the KPL's 51,200 B take it (Kinesis pricing page)."""
_REMEMBERED = 0.9
"""Weight of the calls before, at each call."""
_KEY_UNITS = 256
"""Most characters of a partition key. Counted as UTF-16 units here, which no way of counting exceeds."""


class Result(TypedDict, total=False):
    """What became of one record."""

    SequenceNumber: str | None
    ShardId: str | None
    ErrorCode: str | None


class Answer(TypedDict, total=False):
    """Of PutRecords."""

    FailedRecordCount: int
    Records: list[Result]


class Record(Struct, frozen=True, gc=False):
    """An entry of PutRecords: Data, PartitionKey and perhaps ExplicitHashKey."""

    data: bytes
    key: str
    explicit: int | None = None


def partition_key(event: Event) -> str:
    """Between 1 and 256 characters: the event's key, else its id; the SHA-256 in hex of one that is too long."""
    key = event.key
    if not key:
        return event.id if len(event.id.encode()) <= ID_BYTES else _hashed(event.id)
    if len(key) * 2 > _KEY_UNITS and len(key.encode("utf-16-le")) > _KEY_UNITS * 2:
        return _hashed(key)
    return key


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def written(record: Record) -> bytes:
    """The record in the JSON of PutRecords."""
    hashed = b"" if record.explicit is None else b',"ExplicitHashKey":"%d"' % record.explicit
    return b'{"Data":"%b","PartitionKey":%b%b}' % (b2a_base64(record.data, newline=False), encode(record.key), hashed)


def hash_of(record: Record) -> int:
    """The hash key by which Kinesis places the record."""
    return hash_key(record.key) if record.explicit is None else record.explicit


class Put(Struct, frozen=True):
    """The records of one call, and for each event the index of its record."""

    records: list[Record]
    places: list[int]
    """One for each event of the batch; -1 if the call had no room for it."""

    def outcomes(self, told: Sequence[Outcome]) -> list[Outcome]:
        """One outcome for each event: that of its record."""
        return [told[place] if place >= 0 else NO_ROOM for place in self.places]


class Overhead:
    """What an event adds to the wire beside its body: its key, or its part of an aggregate's; as of the last calls."""

    __slots__ = ("_beside", "_events", "bytes")

    def __init__(self) -> None:
        self.bytes = ID_BYTES
        """Of one event, on average."""
        self._beside: float = ID_BYTES
        self._events: float = 1

    def add(self, put: Put, events: Sequence[Event]) -> None:
        """Learn from one call; those before count for less."""
        placed = [len(event.body) for event, place in zip(events, put.places, strict=True) if place >= 0]
        wire = sum([len(record.data) + len(record.key) for record in put.records])
        self._beside = self._beside * _REMEMBERED + wire - sum(placed)
        self._events = self._events * _REMEMBERED + len(placed)
        self.bytes = round(self._beside / self._events)


class Bill:
    """What a stream has acknowledged, as AWS counts it. A call without an answer may be billed too, and is not here."""

    __slots__ = ("_events", "_records", "_units")

    def __init__(self) -> None:
        self._units = self._records = self._events = 0

    def add(self, put: Put, told: Sequence[Outcome]) -> None:
        """Count the records of `put` of which the stream `told` that it has them."""
        for record, outcome in zip(put.records, told, strict=True):
            if outcome is DELIVERED:
                self._units += -(-(len(record.data) + len(record.key.encode())) // UNIT_BYTES)
                self._records += 1
        self._events += sum([place >= 0 and told[place] is DELIVERED for place in put.places])

    def counts(self) -> dict[str, int]:
        """PUT payload units, records, and the events in them, by the names of their counters."""
        return {
            "kinesis_put_payload_units": self._units,
            "kinesis_records": self._records,
            "kinesis_user_records": self._events,
        }


class Packing(Struct, frozen=True):
    """How events are aggregated."""

    record_bytes: int
    """Most bytes of an aggregate, with its partition key."""
    record_events: int
    request_bytes: int
    """Most bytes of a call: data and partition keys."""


def one_each(events: Sequence[Event]) -> Put:
    """Each event a record of its own, as many as a call takes."""
    records = [Record(event.body, partition_key(event)) for event in events[:RECORDS]]
    return Put(records, [*range(len(records)), *[-1] * (len(events) - len(records))])


def aggregated(events: Sequence[Event], shards: ShardMap, packing: Packing) -> Put:
    """The events of one shard together, in aggregates whose hash key is that of their first event.

    So a key stays with its shard. An event that is alone, or too large to share, is a record as it is, readable for
    everybody.
    """
    slots: list[_Slot] = []
    filling: dict[int, _Slot] = {}
    places: list[int] = []
    left = packing.request_bytes
    for event in events:
        key = partition_key(event)
        hashed = hash_key(key)
        shard = shards.number(hashed)
        slot = filling.get(shard)
        if slot is not None and slot.aggregate.count < packing.record_events:
            room = packing.record_bytes - len(PARTITION_KEY) - slot.aggregate.size
            if grown := slot.aggregate.add(key, event.body, min(room, left)):
                left -= grown
                places.append(slot.index)
                continue
        slot = _Slot(len(slots), event, key, hashed)
        room = packing.record_bytes - len(PARTITION_KEY) - slot.aggregate.size
        shares = slot.aggregate.add(key, event.body, room) > 0
        size = slot.aggregate.size + len(PARTITION_KEY) if shares else len(event.body) + len(key.encode())
        if len(slots) == RECORDS or size > left:
            break
        if shares:
            filling[shard] = slot
        slots.append(slot)
        left -= size
        places.append(slot.index)
    places += [-1] * (len(events) - len(places))
    return Put([slot.record() for slot in slots], places)


class _Slot:
    """A record in the making: its first event, and the aggregate that others may join."""

    __slots__ = ("_first", "_hashed", "_key", "aggregate", "index")

    def __init__(self, index: int, first: Event, key: str, hashed: int) -> None:
        self.index = index
        self.aggregate = Aggregate(str(hashed))
        self._first = first
        self._key = key
        self._hashed = hashed

    def record(self) -> Record:
        """The entry of PutRecords."""
        if self.aggregate.count < 2:
            return Record(self._first.body, self._key)
        return Record(self.aggregate.encode(), PARTITION_KEY, self._hashed)
