"""A route: a named stream of events, its schema, key, identity, and the legs on which it goes to sinks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct

from service.codecs.attributes import flaw_of_id
from service.codecs.draft import NOT_JSON, Draft
from service.codecs.formats import Form, resolve
from service.codecs.selector import Selector
from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Entry, Settles, Terms
from service.delivery.lane import Lane
from service.errors import Code, InvalidEvent
from service.event import STRUCTURED, Event, Origin, uuid7
from service.schemas.contract import Schema
from service.sinks.contract import Format

RESERVED_ROUTE = "events"
"""The name under which a producer, or a setting of a source, has each event's `type` find its route: no route may have
it."""
JOURNAL = "journal"
"""What an event of a route with `ack: stored` waits for, instead of its lanes."""
KEPT = (JOURNAL,)
"""Its required lanes, so to speak."""
MOST_KEY_BYTES = 8 * 1024
"""Most bytes of a key in UTF-8. What a destination takes may be less: its sink says so."""

Select = Callable[[Draft, Mapping[str, str]], str | None]
"""Finds a string in a draft or its request's headers (lower-cased names); None if it is not there."""


@dataclass(frozen=True, slots=True, eq=False)
class Leg:
    """One route's way to one sink."""

    lane: Lane
    terms: Terms
    format: Format
    forms: tuple[Form, Form] = field(init=False)
    """What the format means for events whose identity is not in their body, and for those whose it is."""
    name: str = field(init=False)
    """The lane's. This and what follows is what each event asks of its lane, which never changes."""
    partitioned: bool = field(init=False)
    overhead_bytes: int = field(init=False)
    largest: int = field(init=False)
    """Bytes against the sink's limits."""
    ordered: bool = field(init=False)
    """Whether the lane keeps the order of keys, so that every event needs one."""
    keeps_original: bool = field(init=False)
    """Whether an event may have to go elsewhere as it came: to the dead letters, or to a fallback."""

    def __post_init__(self) -> None:
        carries = self.lane.sink.carries_attributes
        forms = (resolve(self.format, carries, False), resolve(self.format, carries, True))
        object.__setattr__(self, "forms", forms)
        object.__setattr__(self, "name", self.lane.name)
        object.__setattr__(self, "partitioned", self.lane.partitioned)
        object.__setattr__(self, "overhead_bytes", self.lane.sink.limits.overhead_bytes)
        object.__setattr__(self, "largest", self.lane.largest_event + self.lane.sink.limits.overhead_bytes)
        object.__setattr__(self, "ordered", self.lane.settings.order == "key")
        elsewhere = self.terms.graveyard is not None or self.lane.settings.fallback is not None
        object.__setattr__(self, "keeps_original", elsewhere)


class Kept(Struct, gc=False):
    """An event that is to be stored."""

    event: Event
    entries: Sequence[tuple[Lane, Entry]]
    """One for each leg, which nobody owns yet."""
    index: int
    """Which of its owner's events it is."""


class Keeper(Protocol):
    """Stores the events of a route before they go to its lanes (`journal.stream.Stream`)."""

    def demand_room(self, size: int) -> None:
        """Raise Busy if `size` bytes of events cannot be stored now, TooLarge if they never can."""

    def store(self, kept: Sequence[Kept], owner: Settles) -> None:
        """Store these. `owner` hears, by their indexes and JOURNAL, once they are safe or are not."""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A named stream of events, ready to run."""

    name: str
    legs: tuple[Leg, ...]
    types: tuple[str, ...] = ()
    schema: Schema | None = None
    key: Selector | None = None
    id: Selector | None = None
    source: str = ""
    """CloudEvents `source` of events that came without one; `/routes/NAME` if it is not given."""
    max_event: int = 1024 * 1024
    """Most bytes of one event as it comes."""
    dead_letters: DeadLetters | None = None
    bury_invalid: bool = False
    """Whether refused events leave a copy among the dead letters."""
    origins: frozenset[str] = frozenset()
    """Origins of web pages that may post (CORS)."""
    keeper: Keeper | None = None
    """Of a route whose events are answered once they are stored."""
    required: tuple[str, ...] = field(init=False)
    """The lanes that decide an answer, by name; KEPT for one that has a keeper."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", self.source or f"/routes/{self.name}")
        lanes = tuple(leg.lane.name for leg in self.legs if leg.terms.required)
        object.__setattr__(self, "required", lanes if self.keeper is None else KEPT)

    def allows(self, origin: str | None) -> bool:
        """Whether a web page of this origin may post here."""
        return origin is not None and (origin in self.origins or "*" in self.origins)

    def event(self, draft: Draft, headers: Mapping[str, str], origin: Origin, named: str | None = None) -> Event:
        """The event that `draft` is on this route, validated.

        Identity, in this order: CloudEvents `source` + `id`; the route's `id:`; `named` (an Idempotency-Key);
        else a UUIDv7. Raises InvalidEvent with the schema's violations (SCHEMA_VIOLATION), or if the key or id is
        not a scalar, or too long, or the id has control characters (INVALID_KEY).
        """
        self._validate(draft)
        attributes = draft.attributes
        in_body = draft.content_type == STRUCTURED
        if not attributes:
            found = self._found_id(draft, headers)
            in_body = found is not None and self.id is not None and self.id.in_body
            attributes = {
                "specversion": "1.0",
                "id": _checked_id(found or named) or uuid7(),
                "source": self.source,
                "type": self.name,
            }
        return Event(
            id=attributes["id"],
            route=self.name,
            key=self._key(draft, headers) if self.key is not None else draft.key,
            body=draft.body,
            content_type=draft.content_type,
            attributes=attributes,
            origin=origin,
            id_in_body=in_body,
        )

    def id_of_refused(self, draft: Draft, headers: Mapping[str, str], named: str | None) -> str | None:
        """The identity of an event that was refused, so far as it has one."""
        try:
            return draft.attributes.get("id") or _checked_id(self._found_id(draft, headers) or named)
        except InvalidEvent:
            return None

    def _found_id(self, draft: Draft, headers: Mapping[str, str]) -> str | None:
        return self.id(draft, headers) if self.id is not None else None

    def _key(self, draft: Draft, headers: Mapping[str, str]) -> str | None:
        assert self.key is not None
        key = self.key(draft, headers)
        if key is not None and len(key) > MOST_KEY_BYTES // 4 and (size := len(key.encode())) > MOST_KEY_BYTES:
            raise InvalidEvent(
                Code.INVALID_KEY, f"the event's key has {size} bytes; at most {MOST_KEY_BYTES} are taken", errors=()
            )
        return key

    def _validate(self, draft: Draft) -> None:
        if self.schema is None:
            return
        if draft.data is NOT_JSON:
            raise InvalidEvent(
                Code.SCHEMA_VIOLATION,
                f"route {self.name!r} has a schema, so the event's data must be JSON",
                errors=(),
            )
        violations = self.schema.violations(draft.data)
        if violations:
            first = violations[0]
            more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
            raise InvalidEvent(
                Code.SCHEMA_VIOLATION,
                f"{first.pointer}: {first.detail}{more}",
                errors=[{"pointer": v.pointer, "keyword": v.keyword, "detail": v.detail} for v in violations],
            )


def _checked_id(text: str | None) -> str | None:
    if text is not None and (flaw := flaw_of_id(text)):
        raise InvalidEvent(Code.INVALID_KEY, f"the event's id {flaw}", errors=())
    return text


class Router:
    """Finds the route of a CloudEvents `type`: an exact name first, then the longest matching prefix."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, Route] = {}
        prefixes: list[tuple[str, Route]] = []
        for route in routes:
            for pattern in route.types:
                if pattern.endswith("*"):
                    prefixes.append((pattern[:-1], route))
                else:
                    self._exact[pattern] = route
        self._prefixes = sorted(prefixes, key=lambda item: -len(item[0]))

    def find(self, type_: str) -> Route | None:
        """The route for `type_`, or None."""
        route = self._exact.get(type_)
        if route is not None:
            return route
        return next((route for prefix, route in self._prefixes if type_.startswith(prefix)), None)
