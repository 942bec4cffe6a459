"""The ingest endpoint: one plain function from (headers, body) to a receipt and, once that is settled, an answer.

It knows nothing of the server that calls it. Reading, validating and accepting is synchronous; the generator
yields whenever it has worked for YIELD_SECONDS, so that a huge body does not stall others.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Generator
from time import perf_counter

from service.codecs.body import decode
from service.codecs.draft import Caps
from service.config.settings import RESERVED_ROUTE, ServerConfig
from service.delivery.pipeline import Pipeline
from service.delivery.route import Route
from service.errors import Code, Forbidden, IngestError, NotFound
from service.receipt import Receipt
from service.sources.pending import Pending
from service.sources.preferences import Preferences, preferences
from service.sources.reading import SOURCE, Reading, Request
from service.telemetry.meter import Meter

YIELD_SECONDS = 0.005
PER_REFUSAL_BYTES = 1536
"""What a refused event costs in memory until it is answered: the error, the result, its text (measured: about this)."""
PER_RESULT_BYTES = 256
"""What an accepted event takes of the answer: its result, with an id of the usual length."""
LARGE_BYTES = 64 * 1024
"""A body from here on may take longer than YIELD_SECONDS."""
LARGE_AT_ONCE = 2
"""Large bodies that are read in turns: each holds several times its size until it is accepted, the others wait."""


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


class Turns:
    """Lets a few large bodies be read at a time, the others in the order in which they came."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: deque[Callable[[], object]] = deque()

    def take(self, begin: Callable[[], object]) -> None:
        """Call `begin` when it is its turn, maybe at once. Whoever was called calls `leave`."""
        if self._free:
            self._free -= 1
            begin()
        else:
            self._waiting.append(begin)

    def leave(self) -> None:
        """The turn is over."""
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._waiting.popleft())
        else:
            self._free += 1

    async def wait(self) -> None:
        """Return when it is the caller's turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def begin() -> None:
            if turn.done():
                self.leave()
            else:
                turn.set_result(None)

        self.take(begin)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.leave()
            raise


class Ingest:
    """Takes requests on behalf of the pipeline."""

    def __init__(self, pipeline: Pipeline, server: ServerConfig, meter: Meter) -> None:
        self._pipeline = pipeline
        self._meter = meter
        most = {name: route.max_event for name, route in pipeline.routes.items()}
        most[RESERVED_ROUTE] = max(most.values(), default=0)
        self._caps = {name: Caps(each, server.max_events, server.max_nesting) for name, each in most.items()}
        self.large = Turns(LARGE_AT_ONCE)
        """Bodies from LARGE_BYTES on, whichever way they came."""

    def find(self, name: str, allowed: Collection[str] | None) -> Route | None:
        """The route of that name, None for `events`. Raises NotFound, or Forbidden if it is not `allowed`."""
        if name == RESERVED_ROUTE:
            return None
        if allowed is not None and name not in allowed:
            raise Forbidden(Code.FORBIDDEN_ROUTE, f"these credentials may not send to route {name[:80]!r}")
        route = self._pipeline.routes.get(name)
        if route is None:
            raise NotFound(Code.UNKNOWN_ROUTE, f"there is no route {name[:80]!r}; check the path /v1/ROUTE")
        return route

    def take(self, request: Request) -> Generator[None, None, Pending]:
        """Read, validate and accept every event of `request`; yields to let others run, returns what is pending.

        Raises IngestError about the request as a whole, having taken nothing.
        """
        fixed = self.find(request.route, request.allowed)
        prefer = preferences(request.headers)
        reading = Reading(self._pipeline, request, fixed)
        caps = self._caps[request.route]
        began = perf_counter()
        content_type = request.headers.get("content-type")
        for found in decode(content_type, request.headers, request.body, caps, request.plain_text):
            reading.add(found)
            if not len(reading.items) % _LOOK_EVERY:
                request.keep(max(len(request.body), self._held(reading)))
            if perf_counter() - began > YIELD_SECONDS:
                yield
                began = perf_counter()
        try:
            receipt = self._accept(reading, prefer, request)
        finally:
            self._count(reading)
        pending = Pending(reading.items, receipt, self._pipeline, request.request_id, prefer)
        pending.bury_invalid()
        return pending

    async def taken(self, request: Request) -> Pending:
        """`take`, letting others run whenever it yields; large bodies wait for each other."""
        if not is_large(request.body):
            return await self._taken(request)
        await self.large.wait()
        try:
            return await self._taken(request)
        finally:
            self.large.leave()

    async def _taken(self, request: Request) -> Pending:
        taking = self.take(request)
        while True:
            try:
                next(taking)
            except StopIteration as done:
                pending: Pending = done.value
                return pending
            await asyncio.sleep(0)

    def _accept(self, reading: Reading, prefer: Preferences, request: Request) -> Receipt | None:
        """The receipt of what was valid; None if there was nothing, or nothing may be taken."""
        if prefer.strict and reading.rejected:
            reading.refuse_the_rest()
        try:
            # what was taken is charged to the lanes; its results, and what was refused, are held here until answered
            request.keep(self._answer_bytes(reading))
            return self._pipeline.accept(reading.parcels) if reading.parcels else None
        except IngestError as error:
            reading.refuse_all(error.code)
            raise

    def _answer_bytes(self, reading: Reading) -> int:
        taken = len(reading.parcels)
        return PER_RESULT_BYTES * taken + PER_REFUSAL_BYTES * (len(reading.items) - taken)

    def _held(self, reading: Reading) -> int:
        """Bytes of what was read so far: the events, which no lane has yet, and what is to be answered."""
        return reading.charge + self._answer_bytes(reading)

    def _count(self, reading: Reading) -> None:
        if not reading.rejected and (fixed := reading.fixed) is not None:
            self._meter.edge_received[SOURCE, fixed.name] += len(reading.parcels)
            return
        for route, count in reading.received().items():
            self._meter.edge_received[SOURCE, route] += count
        for (route, code), count in reading.rejected.items():
            self._meter.edge_rejected[SOURCE, route, code.value] += count
