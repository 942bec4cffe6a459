"""The event: one validated, already encoded unit of data, and where it came from. Imports nothing of ours."""

import os
import time
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

STRUCTURED = "application/cloudevents+json"
"""Media type of an event whose body is a whole CloudEvent in JSON (CloudEvents 1.0, JSON format)."""

DEAD_LETTER = "penstock.dead_letter"
"""CloudEvents type of the event that carries a dead letter."""

NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})

PER_EVENT_BYTES = 140
PER_ATTRIBUTE_BYTES = 160
"""What an event costs in memory beside its body, id and key: objects, queue slots, receipt and result; and each of
its attributes, with a value of usual length. Fitted to `python -m tests.flow.resident`; a test holds the sum to a fifth
of what the process grows."""
_USUAL_BYTES = 32
"""Of an attribute's value, within PER_ATTRIBUTE_BYTES."""
_SHORT_BYTES = 1024
_LEAST = 4
"""The attributes of a structured event are no longer than its body, and those of one without an envelope are few: the
lengths of neither are added up, which would cost 0.2 us an event."""


_VERSION_BYTES = 150
"""What one version of an event takes beside its body (a Struct of nine fields, and bytes' own header)."""


class Trace(Struct, frozen=True, gc=False):
    """A position in a distributed trace (W3C Trace Context), which is sound: `codecs.tracecontext` makes it."""

    parent: str
    """`traceparent` of version 00: 55 characters."""
    state: str = ""
    """`tracestate`; empty if there is none."""
    own: bool = False
    """Whether it is a span of ours: then it goes on instead of what an event says of itself."""

    @property
    def sampled(self) -> bool:
        """Whether whoever began the trace records it."""
        return self.parent[-1] in _ODD


_ODD = "13579bdf"


class Origin(Struct, frozen=True, gc=False):
    """Where a group of events came from: one per request or poll, shared by its events."""

    source: str
    """Name of the source: `http`, or a key under `sources:`."""
    received_at: float
    """Unix time in seconds."""
    address: str = ""
    """The producer's address as the source knows it; empty when it does not."""
    request_id: str = ""
    trace: Trace | None = None
    """Of the request or message, or our own span for it."""
    sender: str = ""
    """Whose share of a lane's memory its events take: a principal, or an address (`delivery.shares`). Empty where
    nobody's is counted, as of what a source, or the journal, has too."""


class Event(Struct, frozen=True, gc=False):
    """One validated, already encoded event. Never changes; the sinks send `body` as it is."""

    id: str
    route: str
    key: str | None
    """Partition key, or None to spread evenly."""
    body: bytes
    content_type: str
    """Media type of `body`; `application/cloudevents+json` says that the body is a structured CloudEvent."""
    attributes: Mapping[str, str]
    """CloudEvents context attributes by name without prefix (`id`, `source`, `type`, ...).
    Always holds `id`, `source`, `type` and `specversion`, also for events that came without an envelope."""
    origin: Origin
    id_in_body: bool = True
    """False when the identity came from outside the body (a header, or generated), so a destination
    without headers would lose it unless the body is wrapped."""

    @property
    def charge(self) -> int:
        """Bytes of memory this event is accounted for."""
        size, attributes = len(self.body), self.attributes
        named = len(self.id) + len(self.key or "") + PER_ATTRIBUTE_BYTES * len(attributes)
        if size > _SHORT_BYTES or (len(attributes) > _LEAST and not self.id_in_body):
            beyond = sum(map(len, attributes.values())) - _USUAL_BYTES * len(attributes)
            if beyond > 0:
                named += beyond
        if (trace := self.origin.trace) is not None:
            named += PER_ATTRIBUTE_BYTES + len(trace.state)
        return size + named + PER_EVENT_BYTES

    @property
    def charge_beside(self) -> int:
        """The same beside another version of it, which has the same attributes."""
        return len(self.body) + _VERSION_BYTES


_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
_RANDOM_AT_ONCE = 256
_random: list[str] = []
"""Unused endings of ids, all but their time: one call of the system gives the bits for many."""


class _Clock:
    """The beginning of ids, which many of a millisecond share."""

    milliseconds = 0
    text = ""


def uuid7() -> str:
    """A new UUID version 7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, then random bits."""
    if not _random:
        digits = os.urandom(10 * _RANDOM_AT_ONCE).hex()
        noises = [digits[start : start + 20] for start in range(0, len(digits), 20)]
        _random.extend([f"-7{n[:3]}-{_VARIANTS[n[3]]}{n[4:7]}-{n[7:19]}" for n in noises])
    now = time.time_ns() // 1_000_000
    if now != _Clock.milliseconds:
        when = f"{now:012x}"
        _Clock.milliseconds, _Clock.text = now, f"{when[:8]}-{when[8:]}"
    return _Clock.text + _random.pop()
