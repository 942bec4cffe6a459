"""Reading a request: each item of its body becomes a parcel for the pipeline, or a refusal that says why."""

import re
from collections.abc import Callable, Collection, Mapping
from time import time

from msgspec import Struct

from service.codecs.body import LINES
from service.codecs.cloudevents import declared
from service.codecs.draft import Draft, Refusal
from service.config.settings import RESERVED_ROUTE
from service.delivery.pipeline import Parcel, Pipeline
from service.delivery.route import Route
from service.errors import Code, Forbidden, IngestError, NotFound, StrictlyRefused, TooLarge
from service.event import NO_ATTRIBUTES, STRUCTURED, Event, Origin, uuid7
from service.sources.preferences import idempotency_key

SOURCE = "http"

_ARRAY = re.compile(rb"[ \t\r\n]*+\[")


class Request(Struct):
    """A request whose body has arrived and is decompressed."""

    route: str
    """A route's name, or `events` to route by type."""
    headers: Mapping[str, str]
    """Lower-cased names."""
    body: bytes
    request_id: str
    address: str = ""
    allowed: Collection[str] | None = None
    """Routes that the producer may send to; None for all."""
    keep: Callable[[int], None] = lambda size: None
    """Called once the body is read, with the bytes that its answer will take. May refuse: then nothing is taken."""
    plain_text: bool = False
    """Whether text/plain is taken as JSON (a web page on the route's allow-list)."""


class Refused(Struct):
    """An event that no lane took."""

    error: IngestError
    id: str | None
    route: Route | None
    letter: Event | None = None
    """What goes to the dead letters, on routes that keep invalid events."""


class Taken(Struct):
    """An event for the pipeline. `position` is its index among the parcels, and in the receipt."""

    id: str
    position: int


class Reading:
    """What is known of a request while its body is read."""

    def __init__(self, pipeline: Pipeline, request: Request, fixed: Route | None) -> None:
        """Raises Unreadable for a malformed header."""
        self.items: list[Refused | Taken] = []
        self.parcels: list[Parcel] = []
        self.charge = 0
        """Bytes of memory that the parcels take."""
        self.rejected: dict[tuple[str, Code], int] = {}
        """Events by route and by why they were refused."""
        self._refused: dict[str, int] = {}
        """The same by route."""
        self._pipeline = pipeline
        self._request = request
        self.fixed = fixed
        """The route of every event; None if each event's type tells."""
        self._key = idempotency_key(request.headers)
        self._is_batch = self._key is not None and _is_batch(request)
        self._origin = Origin(SOURCE, time(), request.address, request.request_id)

    def add(self, found: Draft | Refusal) -> None:
        """Make an event of `found`, or note why it is none."""
        route = self.fixed
        if isinstance(found, Refusal):
            self._refuse(found.error, found.id, route, found, self._declared(found))
            return
        try:
            route = route or self._routed(found)
            event = route.event(found, self._request.headers, self._origin, self._name())
            parcel = self._pipeline.parcel(route, event)
        except IngestError as error:
            id_ = found.attributes.get("id")
            if route is not None:
                id_ = route.id_of_refused(found, self._request.headers, self._name())
            self._refuse(error, id_, route, found, found.attributes)
            return
        self.items.append(Taken(event.id, len(self.parcels)))
        self.parcels.append(parcel)
        self.charge += parcel.entries[0].charge

    def refuse_the_rest(self) -> None:
        """`Prefer: handling=strict`: nothing is taken, because something is invalid."""
        error = StrictlyRefused()
        for index, item in enumerate(self.items):
            if isinstance(item, Taken):
                route = self.parcels[item.position].route
                self._count(route.name, error.code)
                self.items[index] = Refused(error, item.id, route)
        self.parcels.clear()
        self.charge = 0

    def refuse_all(self, code: Code) -> None:
        """Count what was valid as refused: the pipeline takes nothing of this request."""
        for parcel in self.parcels:
            self._count(parcel.route.name, code)
        self.parcels.clear()

    def received(self) -> Mapping[str, int]:
        """Events by route, whatever became of them; by the empty name where none was found."""
        counts = dict(self._refused)
        if self.fixed is not None:
            if self.parcels:
                counts[self.fixed.name] = counts.get(self.fixed.name, 0) + len(self.parcels)
        else:
            for parcel in self.parcels:
                counts[parcel.route.name] = counts.get(parcel.route.name, 0) + 1
        return counts

    def _count(self, label: str, code: Code) -> None:
        """One event was refused."""
        self._refused[label] = self._refused.get(label, 0) + 1
        self.rejected[label, code] = self.rejected.get((label, code), 0) + 1

    def _name(self) -> str | None:
        """The identity that the Idempotency-Key gives this item: the key, or in a batch key/index."""
        return f"{self._key}/{len(self.items)}" if self._is_batch else self._key

    def _routed(self, draft: Draft) -> Route:
        """The route of a CloudEvent's type."""
        type_ = draft.attributes.get("type")
        if type_ is None:
            raise NotFound(
                Code.NO_ROUTE_FOR_TYPE,
                f"/v1/{RESERVED_ROUTE} routes CloudEvents by their type, and this event has none; "
                "send it as a CloudEvent, or to /v1/ROUTE",
            )
        route = self._pipeline.router.find(type_)
        if route is None:
            raise NotFound(Code.NO_ROUTE_FOR_TYPE, f"no route takes the type {type_[:200]!r}")
        if self._request.allowed is not None and route.name not in self._request.allowed:
            raise Forbidden(Code.FORBIDDEN_ROUTE, f"these credentials may not send to route {route.name!r}")
        most = route.max_event
        if len(draft.body) > most:
            raise TooLarge(
                Code.EVENT_TOO_LARGE,
                f"the event has {len(draft.body)} bytes; route {route.name!r} takes at most {most}",
                limit=most,
                actual=len(draft.body),
            )
        return route

    def _declared(self, refusal: Refusal) -> Mapping[str, str]:
        """What a binary-mode event that was refused says of itself, so that its dead letter has all of it."""
        headers = self._request.headers
        enveloped = refusal.content_type.startswith(STRUCTURED) or not any(name.startswith("ce-") for name in headers)
        return NO_ATTRIBUTES if enveloped else declared(headers, headers.get("content-type"))

    def _refuse(
        self,
        error: IngestError,
        id: str | None,
        route: Route | None,
        found: Draft | Refusal,
        attributes: Mapping[str, str],
    ) -> None:
        label = route.name if route is not None else ""
        self._count(label, error.code)
        letter = None
        if route is not None and route.bury_invalid:
            # the answer names what the dead letter is called, so that the two can be brought together
            id = id or uuid7()
            letter = Event(id, route.name, None, found.body, found.content_type, attributes, self._origin)
        # what was raised holds on to the frames, and so to the bodies, that it came through
        error.__context__ = None
        self.items.append(Refused(error.with_traceback(None), id, route, letter))


def _is_batch(request: Request) -> bool:
    essence = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return essence in LINES or _ARRAY.match(request.body) is not None
