"""Dead letters: what could not be delivered, whole and unharmed, in a JSON envelope at a sink of its own."""

import base64
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2s
from typing import Any

import orjson

from service.delivery.entry import Entry, Terms
from service.delivery.lane import Lane
from service.event import DEAD_LETTER, Event
from service.outcome import Reason
from service.receipt import Fate, Settlement

log = logging.getLogger(__name__)

ENVELOPE_BYTES = 16 * 1024
"""Most that an envelope adds beside 4/3 of the body (design: start-up checks dead-letter sinks against it)."""

_DETAIL_BYTES = 2 * 1024
_ERRORS_BYTES = 4 * 1024
_ATTRIBUTES_BYTES = 4 * 1024
_NAME_BYTES = 1024


def largest_envelope(event_bytes: int) -> int:
    """Upper bound, in bytes, of the envelope of an event of `event_bytes`."""
    return (event_bytes + 2) // 3 * 4 + ENVELOPE_BYTES


def envelope(
    event: Event,
    *,
    sink: str,
    reason: Reason,
    detail: str,
    attempts: int,
    dead_lettered_at: float,
    errors: Sequence[Mapping[str, str]] = (),
) -> bytes:
    """The dead letter of `event` as JSON, at most `largest_envelope(len(event.body))` bytes.

    The original bytes stand in `body` if they are UTF-8, else base64 in `body_base64`. Everything beside
    them is bounded, and cut where it is longer. Times are RFC 3339 in UTC.
    """
    letter: dict[str, Any] = {
        "dead_letter": "1",
        "id": _cut(event.id, _NAME_BYTES),
        "route": _cut(event.route, 256),
        "sink": _cut(sink, 256),
        "reason": reason.value,
        "detail": _cut(detail, _DETAIL_BYTES),
        "attempts": attempts,
        "received_at": _rfc3339(event.origin.received_at),
        "dead_lettered_at": _rfc3339(dead_lettered_at),
        "source": _cut(event.origin.source, 256),
        "producer": _cut(event.origin.address, 128),
        "request_id": _cut(event.origin.request_id, 256),
        "content_type": _cut(event.content_type, 256),
        "key": _cut(event.key, _NAME_BYTES) if event.key is not None else None,
    }
    if letter["key"] != event.key:
        letter["key_cut"] = True
    if errors:
        letter["errors"] = _bounded(errors, _ERRORS_BYTES)
    attributes = {_utf8(name): _utf8(value) for name, value in event.attributes.items()}
    if len(orjson.dumps(attributes)) <= _ATTRIBUTES_BYTES:
        letter["attributes"] = attributes
    # a copy: what orjson 3.13 returns keeps the memory that it was written in, 4 KiB and more for a letter of 200 bytes
    return bytes(memoryview(orjson.dumps(letter | _body(event.body))))


def _body(body: bytes) -> dict[str, str]:
    """The bytes as text, unless escaping would make that longer than base64 does."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}
    if len(orjson.dumps(text)) > (len(body) + 2) // 3 * 4 + 64:
        return {"body_base64": base64.b64encode(body).decode()}
    return {"body": text}


def _bounded(errors: Sequence[Mapping[str, str]], limit: int) -> list[Mapping[str, str]]:
    kept: list[Mapping[str, str]] = []
    for error in errors:
        written = {name: _cut(value, _ERRORS_BYTES // 4) for name, value in error.items()}
        limit -= len(orjson.dumps(written)) + len(",")
        if limit < 0:
            break
        kept.append(written)
    return kept


def _cut(text: str, limit: int) -> str:
    """`text` so that its JSON form takes at most `limit` bytes."""
    text = _utf8(text)
    while len(orjson.dumps(text)) > limit:
        text = text[: min(len(text) - 1, limit) * 3 // 4]
    return text


def _utf8(text: str) -> str:
    """`text` with `?` for lone surrogates (an operating system's error may hold them), which JSON cannot."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True, eq=False)
class Letter:
    """What is to be written, before it is."""

    event: Event
    sink: str
    reason: Reason
    detail: str
    attempts: int
    done: Callable[[bool], None]
    errors: Sequence[Mapping[str, str]] = ()
    stored: bool = False
    """Whether the journal has the event until the letter is safe."""


class DeadLetters:
    """The way to one dead-letter lane, for all routes that name it.

    What finds no room waits here without a copy: it is still held, and paid for, by the lane it comes from.
    """

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._terms: dict[tuple[str, bool], Terms] = {}
        self._waiting: dict[Letter, None] = {}
        """In the order of their coming; a dict, because any of them may be withdrawn."""
        self._closed = False

    def bury(
        self, entry: Entry, sink: str, reason: Reason, detail: str, done: Callable[[bool], None]
    ) -> Callable[[], object]:
        """Write a dead letter as soon as there is room.

        `done(True)` is called once its sink has acknowledged it, `done(False)` if it never will. Calling the
        result withdraws a letter that still waits for room: whoever held its event holds it no longer.
        """
        return self._bury(Letter(entry.original, sink, reason, detail, entry.attempts, done, stored=entry.terms.stored))

    def _bury(self, letter: Letter) -> Callable[[], bool]:
        if self._closed or not self._fits(letter):
            letter.done(False)
            return lambda: False
        self._waiting[letter] = None
        self._advance()
        return lambda: self._withdraw(letter)

    def _withdraw(self, letter: Letter) -> bool:
        if letter not in self._waiting:
            return False
        del self._waiting[letter]
        return True

    def bury_at_once(self, entry: Entry, sink: str, reason: Reason, detail: str, done: Callable[[bool], None]) -> bool:
        """The same; False, having done nothing, if there is no room now."""
        letter = Letter(entry.original, sink, reason, detail, entry.attempts, done, stored=entry.terms.stored)
        return self._fits(letter) and self._put(letter)

    def bury_invalid(
        self,
        event: Event,
        detail: str,
        errors: Sequence[Mapping[str, str]],
        done: Callable[[bool], None],
    ) -> bool:
        """A copy of an event that was refused before any lane took it; False if there is no room now."""
        letter = Letter(event, "", Reason.INVALID, detail, 0, done, errors)
        return self._fits(letter) and self._put(letter)

    def bury_refused(
        self,
        event: Event,
        detail: str,
        errors: Sequence[Mapping[str, str]],
        done: Callable[[bool], None],
        reason: Reason = Reason.INVALID,
    ) -> Callable[[], bool]:
        """The same of an event that whoever brought it holds until `done`: it waits for room. `done(False)` at once if
        the sink could never take it. Returns what withdraws a letter as `bury` does, and says whether it still waited.
        """
        return self._bury(Letter(event, "", reason, detail, 0, done, errors, stored=True))

    def close(self) -> None:
        """Take no more letters, and give up those that still wait for room: the lane is ending."""
        self._closed = True
        waiting, self._waiting = self._waiting, {}
        for letter in waiting:
            letter.done(False)

    def _advance(self) -> None:
        while self._waiting:
            letter = next(iter(self._waiting))
            try:
                put = self._put(letter)
            except Exception:
                # Whatever an envelope, or a foreign sink, makes of one letter: those behind it must not wait for it.
                log.exception("a dead letter could not be written", extra={"sink": self.lane.name})
                self._waiting.pop(letter, None)
                letter.done(False)
                continue
            if not put:
                return
            del self._waiting[letter]

    def _fits(self, letter: Letter) -> bool:
        """Whether the sink could ever take the letter. Only events refused as too large do not pass."""
        return self.lane.fits(largest_envelope(len(letter.event.body)))

    def _put(self, letter: Letter) -> bool:
        """Hand the letter to the lane; an empty lane takes one of any size that its sink takes."""
        lane = self.lane
        if self._closed:
            return False
        if lane.held_events and not lane.has_room(len(letter.event.body)):
            return False
        event = enveloped(letter)
        if lane.held_events and not lane.has_room(event.charge):
            return False
        terms = self._terms.get((event.route, letter.stored))
        if terms is None:
            terms = Terms(event.route, required=True, patient=True, last_resort=True, stored=letter.stored)
            self._terms[event.route, letter.stored] = terms
        burial = _Burial(letter.done, self._advance)
        entry = Entry(event, event, lane.size(event), event.charge, terms, lane.name, burial)
        entry.partition = lane.partition(event)
        lane.put([entry])
        return True


def enveloped(letter: Letter) -> Event:
    """The event that carries the letter. Its id differs by sink, and its source by that of its event, so that a FIFO
    queue keeps each one."""
    event = letter.event
    source = event.attributes.get("source")
    of = f"?of={blake2s(source.encode(errors='replace'), digest_size=8).hexdigest()}" if source else ""
    identity = f"{event.id}/{letter.sink or 'invalid'}"
    return Event(
        id=identity,
        route=event.route,
        key=event.key,
        body=envelope(
            event,
            sink=letter.sink,
            reason=letter.reason,
            detail=letter.detail,
            attempts=letter.attempts,
            dead_lettered_at=time.time(),
            errors=letter.errors,
        ),
        content_type="application/json",
        attributes={
            "specversion": "1.0",
            "id": identity,
            "source": f"/routes/{event.route}/dead-letters{of}",
            "type": DEAD_LETTER,
        },
        origin=event.origin,
    )


class _Burial:
    """Hears from the dead-letter lane how a letter ended, and tells the lane the event came from."""

    __slots__ = ("_advance", "done")

    def __init__(self, done: Callable[[bool], None], advance: Callable[[], None]) -> None:
        self.done = done
        self._advance = advance

    def settle(self, index: int, lane: str, settlement: Settlement) -> None:
        del index, lane
        self._end(settlement.fate is Fate.DELIVERED)

    def settle_delivered(self, entries: Sequence[Entry]) -> None:
        del entries  # there is one letter
        self._end(True)

    def _end(self, kept: bool) -> None:
        self.done(kept)
        self._advance()
