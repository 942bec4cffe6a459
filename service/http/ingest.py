"""The ingest endpoint: one plain function from (headers, body) to a receipt and, once that is settled, an answer.

It knows nothing of the server that calls it. Reading, validating and accepting is synchronous; the generator
yields whenever it has worked for a piece, so that a huge body does not stall others.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping
from time import perf_counter, time

from service.auth.principal import Grant, Principal
from service.codecs.body import reader
from service.codecs.draft import Caps, Draft
from service.codecs.tracecontext import of_headers
from service.config.settings import ServerConfig
from service.delivery.pipeline import Pipeline
from service.delivery.route import RESERVED_ROUTE, Route
from service.delivery.shares import of_principal
from service.errors import Code, Forbidden, IngestError, NotFound, TooMany, Unavailable
from service.event import Origin
from service.http.answer import Answer
from service.http.head import Head
from service.http.pending import Pending, PendingOne
from service.http.preferences import idempotency_key, plain_id, preferences
from service.http.reading import SOURCE, Reading, Request
from service.http.turns import Pieces, Turns, advance
from service.quotas.quotas import Quotas
from service.receiving.sampling import Sampling
from service.telemetry.meter import REFUSED, Meter

PER_REFUSAL_BYTES = 1536
"""What a refused event costs in memory until it is answered: the error, the result, its text (measured: about this)."""
PER_RESULT_BYTES = 256
"""What an accepted event takes of the answer: its result, with an id of the usual length."""
LARGE_BYTES = 64 * 1024
"""A body from here on may take longer than a piece."""
LARGE_AT_ONCE = 2
"""Large bodies that are read in turns: each holds several times its size until it is accepted, the others wait."""
SHORT_BYTES = 16 * 1024
"""A body of so much at most, with few events, is read at once."""
MANY_EVENTS = 500
"""A body with more events than this is large, however small they are."""
_LOOK_EVERY = 128
"""Events between looks at what their reading holds."""


def is_large(body: bytes | bytearray) -> bool:
    """Whether a body takes turns with others like it: it is long, or may hold many events."""
    size = len(body)
    return size >= LARGE_BYTES or (
        size > 2 * MANY_EVENTS
        and (body.count(b"\n") > MANY_EVENTS or body.count(b"{") + body.count(b",") > MANY_EVENTS)
    )


def is_short(body: bytes | bytearray) -> bool:
    """Whether a body is read in one piece, whatever is in it."""
    return len(body) <= SHORT_BYTES and not is_large(body)


class Ingest:
    """Takes requests on behalf of the pipeline."""

    def __init__(
        self,
        pipeline: Pipeline,
        server: ServerConfig,
        meter: Meter,
        sampling: Sampling | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        """`quotas`: what producers are held to, if they are to any."""
        self._quotas = quotas
        self._pipeline = pipeline
        self._meter = meter
        self._sampling = sampling
        routes = pipeline.routes.values()
        most = {route.name: route.max_event for route in routes}
        most[RESERVED_ROUTE] = max(most.values(), default=0)
        self._caps = {
            name: Caps(event_bytes, server.max_events, server.max_nesting) for name, event_bytes in most.items()
        }
        self.pieces = Pieces()
        """In which everything is done that takes long."""
        self.large = Turns(LARGE_AT_ONCE, self.pieces)
        """Bodies from LARGE_BYTES on, whichever way they came."""

    def head(self, route: str, headers: Mapping[str, str], grant: Grant) -> Head:
        """What is known of every request to `route` with these headers (lower-cased names), by who has `grant`.

        Raises NotFound, Forbidden, Unreadable (MALFORMED_HEADER) or Unsupported.
        """
        target = self._find(route, grant.principal)
        plain_text = target is not None and target.allows(headers.get("origin"))
        read = reader(headers.get("content-type"), headers, self._caps[route], plain_text)
        given = plain_id(headers.get("x-request-id"))
        key = idempotency_key(headers)
        principal, gate = grant.principal, None
        if self._quotas is not None:
            gate = self._quotas.gate(principal.name, None if target is None else target.name)
        return Head(
            route,
            target,
            principal,
            headers,
            read,
            preferences(headers),
            key,
            given,
            of_headers(headers),
            gate,
            of_principal(principal.name),
            grant.until,
        )

    def _find(self, name: str, principal: Principal) -> Route | None:
        """The route of that name, None for `events`. Raises NotFound, or Forbidden if it is not `principal`'s."""
        if name == RESERVED_ROUTE:
            return None
        if not principal.may_send(name):
            raise Forbidden(Code.FORBIDDEN_ROUTE, f"these credentials may not send to route {name[:80]!r}")
        route = self._pipeline.routes.get(name)
        if route is None:
            raise NotFound(Code.UNKNOWN_ROUTE, f"there is no route {name[:80]!r}; check the path /v1/ROUTE")
        return route

    def take_at_once(self, request: Request) -> Pending | PendingOne:
        """Read, validate and accept every event of `request`, whose body is short (`is_short`); what is pending.

        Raises IngestError about the request as a whole, having taken nothing.
        """
        items, target = request.head.read(request.body), request.head.target
        if type(items) is tuple and target is not None:
            draft = items[0]
            if type(draft) is Draft and (one := self._take_one(request, target, draft)) is not None:
                return one
        reading = Reading(self._pipeline.router, request, type(items) is not tuple, self._sampling)
        for item in items:
            reading.add(item)
        return self._accepted(reading, request)

    def _take_one(self, request: Request, route: Route, draft: Draft) -> PendingOne | None:
        """The same of a body that is one event. None, having taken nothing, if the event is refused for what it is."""
        head = request.head
        origin = Origin(SOURCE, time(), request.address, request.request_id, request.trace, request.sender)
        try:
            event = route.event(draft, head.headers, origin, head.key)
            pending = PendingOne(event.id, route.required, self._pipeline, request.request_id, head.prefer)
            request.demand(PER_RESULT_BYTES)
            if request.toll is not None:
                request.toll.count(1, len(request.body))
            self._pipeline.accept_one(route, event, pending)
        except (Unavailable, TooMany) as error:
            self._meter.edge_received[SOURCE, route.name] += 1
            self._meter.edge_rejected[SOURCE, route.name, error.code.value] += 1
            raise
        except IngestError:
            return None
        self._meter.edge_received[SOURCE, route.name] += 1
        return pending

    def take(self, request: Request) -> Generator[None, None, Pending]:
        """The same of any body: yields to let others run."""
        items = request.head.read(request.body)
        reading = Reading(self._pipeline.router, request, type(items) is not tuple, self._sampling)
        began, seconds = perf_counter(), self.pieces.seconds
        for found in items:
            reading.add(found)
            if not len(reading.items) % _LOOK_EVERY:
                request.demand(max(len(request.body), self._held(reading)))
            if perf_counter() - began > seconds:
                yield
                began, seconds = perf_counter(), self.pieces.seconds
        return self._accepted(reading, request)

    async def taken(self, request: Request, still_wanted: Callable[[], Awaitable[None]] | None = None) -> Pending:
        """`take`, letting others run whenever it yields; large bodies wait for each other.

        `still_wanted`: called when it is the turn of a large one; what it raises is raised, and nothing is taken.
        """
        if not is_large(request.body):
            return await self._taken(request)
        await self.large.wait()
        try:
            if still_wanted is not None:
                await still_wanted()
            return await self._taken(request)
        finally:
            self.large.leave()

    async def _taken(self, request: Request) -> Pending:
        taking = self.take(request)
        while True:
            if (pending := advance(taking)) is not None:
                return pending
            await self.pieces.pause()

    async def answered(self, pending: Pending | PendingOne) -> Answer:
        """The answer, from what is settled by now; a long one is made piece by piece."""
        if not (isinstance(pending, Pending) and pending.is_long):
            return pending.answer()
        making = pending.answering()
        while True:
            await self.pieces.pause()
            if (found := advance(making)) is not None:
                return found

    def _accepted(self, reading: Reading, request: Request) -> Pending:
        prefer = request.head.prefer
        if prefer.strict and reading.rejected:
            reading.refuse_the_rest()
        receipt = None
        try:
            # what was taken is charged to the lanes; its results, and what was refused, are held here until answered
            request.demand(self._answer_bytes(reading))
            if request.toll is not None:
                request.toll.count(len(reading.items), len(request.body), reading.sizes)
            if reading.intake.routes:
                receipt = self._pipeline.accept(reading.intake)
        except IngestError as error:
            reading.refuse_all(error.code)
            raise
        finally:
            self._count(reading)
        pending = Pending(reading.items, receipt, self._pipeline, request.request_id, prefer)
        if reading.rejected:
            pending.bury_invalid()
        return pending

    def _answer_bytes(self, reading: Reading) -> int:
        taken = len(reading.intake.routes)
        return PER_RESULT_BYTES * taken + PER_REFUSAL_BYTES * (len(reading.items) - taken)

    def _held(self, reading: Reading) -> int:
        """Bytes of what was read so far: the events, which no lane has yet, and what is to be answered."""
        return reading.intake.charge + self._answer_bytes(reading)

    def _count(self, reading: Reading) -> None:
        if not reading.rejected and (target := reading.head.target) is not None:
            self._meter.edge_received[SOURCE, target.name] += len(reading.intake.routes)
            return
        for route, count in reading.received().items():
            self._meter.edge_received[SOURCE, route] += count
        for (route, code), count in reading.rejected.items():
            self._meter.edge_rejected[SOURCE, route, code.value] += count
        for (route, code), refused in reading.last_refused.items():
            self._meter.note_last(SOURCE, route, REFUSED, code.value, refused.id or "", refused.error.detail)
