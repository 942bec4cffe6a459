"""Reading a request: each item of its body becomes a parcel for the pipeline, or a refusal that says why."""

from collections import Counter
from collections.abc import Callable, Mapping
from time import time

from msgspec import Struct

from service.codecs.cloudevents import declared
from service.codecs.draft import Draft, Refusal
from service.delivery.intake import Intake
from service.delivery.route import RESERVED_ROUTE, Route, Router
from service.errors import Code, Forbidden, IngestError, NotFound, StrictlyRefused, TooLarge
from service.event import NO_ATTRIBUTES, STRUCTURED, Event, Origin, Trace, uuid7
from service.http.head import Head
from service.quotas.quotas import Toll
from service.receiving.sampling import Sampling

SOURCE = "http"


class Request(Struct):
    """A request whose body has arrived and is decompressed."""

    head: Head
    body: bytes
    request_id: str
    address: str = ""
    demand: Callable[[int], None] = lambda size: None
    """Called once the body is read, with the bytes that its answer will take. May refuse: then nothing is taken."""
    trace: Trace | None = None
    """Its position in a distributed trace, or our own span for it."""
    sender: str = ""
    """Whose share of what is scarce it takes."""
    toll: Toll | None = None
    """What it has paid, if there are quotas that it is held to."""


class Refused(Struct, gc=False):
    """An event that no lane took. Nothing that it holds leads back to it."""

    error: IngestError
    id: str | None
    route: Route | None
    letter: Event | None = None
    """What goes to the dead letters, on routes that keep invalid events."""


class Taken(Struct):
    """An event for the pipeline. `position` is its index in the intake, and in the receipt."""

    id: str
    position: int


class Reading:
    """What is known of a request while its body is read."""

    def __init__(self, router: Router, request: Request, many: bool, sampling: Sampling | None = None) -> None:
        """`many`: the body is a batch, though it may have one item. `sampling` is told of what is refused."""
        self.items: list[Refused | Taken] = []
        self.intake = Intake()
        self.rejected: dict[tuple[str, Code], int] = {}
        """Events by route and by why they were refused."""
        self.last_refused: dict[tuple[str, Code], Refused] = {}
        """The last event for each way in which some were."""
        self._refused: dict[str, int] = {}
        """The same by route."""
        self.sizes: dict[str, tuple[int, int]] | None = None
        """By route, where each event finds its own and pays for it: events, and bytes of them."""
        if request.toll is not None and request.head.target is None:
            self.sizes = {}
        self._router = router
        self._sampling = sampling
        self.head = head = request.head
        self._batch_key = head.key if many else None
        self._origin = Origin(SOURCE, time(), request.address, request.request_id, request.trace, request.sender)

    def add(self, found: Draft | Refusal) -> None:
        """Make an event of `found`, or note why it is none."""
        head = self.head
        route = head.target
        if type(found) is Refusal:
            self._refuse(found.error, found.id, route, found, self._declared(found))
            return
        assert type(found) is Draft
        try:
            route = route or self._routed(found)
            event = route.event(found, head.headers, self._origin, self._name())
            position = self.intake.add(route, event)
        except IngestError as error:
            id_ = found.attributes.get("id")
            if route is not None:
                id_ = route.id_of_refused(found, head.headers, self._name())
            self._refuse(error, id_, route, found, found.attributes)
            return
        if self.sizes is not None:
            events, size = self.sizes.get(route.name, (0, 0))
            self.sizes[route.name] = events + 1, size + len(event.body)
        self.items.append(Taken(event.id, position))

    def refuse_the_rest(self) -> None:
        """`Prefer: handling=strict`: nothing is taken, because something is invalid."""
        error = StrictlyRefused()
        for index, item in enumerate(self.items):
            if isinstance(item, Taken):
                route = self.intake.routes[item.position]
                self._count(route.name, error.code)
                self.items[index] = self.last_refused[route.name, error.code] = Refused(error, item.id, route)
        self.intake = Intake()

    def refuse_all(self, code: Code) -> None:
        """Count what was valid as refused: the pipeline takes nothing of this request."""
        for route in self.intake.routes:
            self._count(route.name, code)
        self.intake = Intake()

    def received(self) -> Mapping[str, int]:
        """Events by route, whatever became of them; by the empty name where none was found."""
        counts = dict(self._refused)
        for route, events in Counter(self.intake.routes).items():
            counts[route.name] = counts.get(route.name, 0) + events
        return counts

    def _count(self, label: str, code: Code) -> None:
        """One event was refused."""
        self._refused[label] = self._refused.get(label, 0) + 1
        self.rejected[label, code] = self.rejected.get((label, code), 0) + 1

    def _name(self) -> str | None:
        """The identity that the Idempotency-Key gives this item: the key, or in a batch key/index."""
        return self.head.key if self._batch_key is None else f"{self._batch_key}/{len(self.items)}"

    def _routed(self, draft: Draft) -> Route:
        """The route of a CloudEvent's type."""
        type_ = draft.attributes.get("type")
        if type_ is None:
            raise NotFound(
                Code.NO_ROUTE_FOR_TYPE,
                f"/v1/{RESERVED_ROUTE} routes CloudEvents by their type, and this event has none; "
                "send it as a CloudEvent, or to /v1/ROUTE",
            )
        route = self._router.find(type_)
        if route is None:
            raise NotFound(Code.NO_ROUTE_FOR_TYPE, f"no route takes the type {type_[:200]!r}")
        if not self.head.principal.may_send(route.name):
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
        headers = self.head.headers
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
        if self._sampling is not None:
            self._sampling.note(SOURCE, label, error, found.body, self._origin.request_id)
        letter = None
        if route is not None and route.bury_invalid:
            # the answer names what the dead letter is called, so that the two can be brought together
            id = id or uuid7()
            letter = Event(id, route.name, None, found.body, found.content_type, attributes, self._origin)
        # what was raised holds on to the frames, and so to the bodies, that it came through
        error.__context__ = None
        refused = self.last_refused[label, error.code] = Refused(error.with_traceback(None), id, route, letter)
        self.items.append(refused)
