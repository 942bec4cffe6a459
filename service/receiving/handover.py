"""The handover: brings what one source has received into the pipeline, in turns over its flows, whenever there is room.

What finds no room waits with the source, which is told so by the memory that its flows take. Sources hold at most half
of a lane, so that requests, which are answered, find room beside them.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from time import perf_counter, time
from typing import TYPE_CHECKING, Final

from service.codecs.draft import Draft, Refusal
from service.codecs.tracecontext import of_message
from service.delivery.deadletter import DeadLetters
from service.delivery.intake import Intake
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.delivery.route import RESERVED_ROUTE, Route, Router
from service.delivery.spans import PollSpan, Spans
from service.envelopes.contract import Codec, Found, Message, SkipReason
from service.errors import Busy, Code, Draining, IngestError, InvalidEvent, NotFound
from service.event import Event, Trace
from service.outcome import Reason
from service.receiving.dedupe import Dedupe, DedupeWindow
from service.receiving.sampling import Sampling
from service.telemetry.meter import REFUSED, Meter

if TYPE_CHECKING:
    from service.receiving.flow import Flow

log = logging.getLogger(__name__)

TURN_SECONDS: Final = 0.005
"""How long the loop is held at once."""
AGAIN_SECONDS: Final = 0.25
"""After which what found no room asks again, if no lane has said that there is some."""
WOKEN_FLOWS: Final = 32
"""Most flows that try again when a lane has released something, those that wait longest: a source with thousands of
message groups would else do nothing but ask (2,000 of them take 22 ms)."""
CHUNK_BYTES: Final = 2**20
"""Most bytes of events that are handed over at once."""
LANE_PART: Final = 8
"""And this part of the smallest lane's memory."""
SOURCES_SHARE: Final = 2
"""Sources hold at most this part of a lane's memory, a half."""
_NO_HEADERS: Mapping[str, str] = {}


class Handover:
    """One source's way into the pipeline. Only the event loop's thread calls it."""

    def __init__(
        self,
        source: str,
        pipeline: Pipeline,
        codec: Codec,
        meter: Meter,
        *,
        targets: Collection[str] | None = None,
        dead_letters: DeadLetters | None = None,
        dedupe: Dedupe | None = None,
        spans: Spans | None = None,
        system: str = "",
        sampling: Sampling | None = None,
    ) -> None:
        """`targets`: the routes that it brings events to, by name; all, if it is not given. `dead_letters`: of what has
        no route. `spans`: where it is recorded what is handed over, and `system` what that came from."""
        self.source = source
        self.address = ""
        """Where the source receives from: the producer, so to speak."""
        self.routes = {
            name: _unanswered(route) for name, route in pipeline.routes.items() if targets is None or name in targets
        }
        """The pipeline's, on the terms of a source: nobody waits, and it has what the lanes hold too."""
        self.dedupe = DedupeWindow(dedupe) if dedupe is not None else None
        self.now = time()
        """Unix time of this turn."""
        self.poll: PollSpan | None = None
        """Of what is handed over now, where that may be recorded."""
        self._spans, self._system = spans, system
        self._router = Router(self.routes.values())
        self._pipeline = pipeline
        self._codec = codec
        self._meter = meter
        self._sampling = sampling
        self._dead_letters = dead_letters
        self._headers = any(
            selector is not None and selector.of_header
            for route in self.routes.values()
            for selector in (route.key, route.id)
        )
        lanes = {leg.lane for route in self.routes.values() for leg in route.legs}
        self.chunk_bytes = min([CHUNK_BYTES, *(lane.capacity // LANE_PART for lane in lanes)])
        for lane in lanes:
            lane.books.released.append(self._wake)
        self._ready: dict[Flow, None] = {}
        self._blocked: dict[Flow, None] = {}
        self._loop = asyncio.get_running_loop()
        self._due = self._stopped = False
        self._timer: asyncio.TimerHandle | None = None

    # --- turns

    def ready(self, flow: "Flow") -> None:
        """The flow has something more."""
        if not flow.blocked:
            self._ready[flow] = None
            self._schedule()

    def forget(self, flow: "Flow") -> None:
        """The flow has ended."""
        self._ready.pop(flow, None)
        self._blocked.pop(flow, None)
        if self.dedupe is not None:
            self.dedupe.forget(flow.name)

    def stop(self) -> None:
        """Hand nothing over any more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self, most: int = WOKEN_FLOWS) -> None:
        blocked = self._blocked
        if blocked:
            for flow in list(islice(blocked, most)):
                del blocked[flow]
                self._ready[flow] = None
            self._schedule()

    def _schedule(self) -> None:
        if not self._due and not self._stopped:
            self._due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._due = False
        if self._stopped:
            return
        self.now = time()
        end = perf_counter() + TURN_SECONDS
        while self._ready:
            flow = next(iter(self._ready))
            del self._ready[flow]
            if flow.advance() if self._spans is None else self._recorded(flow, self._spans):
                self._ready[flow] = None
            elif flow.blocked:
                self._blocked[flow] = None
            if perf_counter() > end:
                break
        if self._ready:
            self._schedule()
        if self._blocked and self._timer is None:
            self._timer = self._loop.call_later(AGAIN_SECONDS, self._ring)

    def _recorded(self, flow: "Flow", spans: Spans) -> bool:
        """`flow.advance()`, in a span."""
        self.poll = poll = spans.poll(self.source, self._system)
        try:
            return flow.advance()
        finally:
            self.poll = None
            poll.end(flow.name)

    def _ring(self) -> None:
        self._timer = None
        self._wake(len(self._blocked))

    def route(self, name: str) -> Route | None:
        """The route that a source's setting names; None for `events`, where each event's type finds its own."""
        return None if name == RESERVED_ROUTE else self.routes[name]

    # --- what a flow needs

    def trace(self, message: Message) -> Trace | None:
        """Where a message is in a distributed trace."""
        found = of_message(message.headers)
        return found if self.poll is None else self.poll.of(found)

    def decode(self, message: Message) -> Sequence[Found]:
        """What the codec finds in a message."""
        try:
            return list(self._codec.decode(message))
        except Exception as error:
            # a foreign codec's, or a defect of ours: the message is as safe among the dead letters as any other
            log.exception("a codec failed", extra={"source": self.source})
            detail = f"the codec failed: {type(error).__name__}"
            return [Refusal(message.value, "application/octet-stream", InvalidEvent(Code.MALFORMED_EVENT, detail))]

    def texts(self, message: Message) -> Mapping[str, str]:
        """A message's headers as selectors read them; none where no route asks for any."""
        if not self._headers or not message.headers:
            return _NO_HEADERS
        return {name: value.decode(errors="replace") for name, value in message.headers.items()}

    def routed(self, draft: Draft) -> Route:
        """The route of an event's type. Raises NotFound."""
        type_ = draft.attributes.get("type")
        if type_ is None:
            raise NotFound(Code.NO_ROUTE_FOR_TYPE, "`events` routes by an event's type, and this one has none")
        route = self._router.find(type_)
        if route is None:
            raise NotFound(Code.NO_ROUTE_FOR_TYPE, f"no route takes the type {type_[:200]!r}")
        return route

    def accept(self, intake: Intake) -> None:
        """Put everything into its lanes. Raises Busy or Draining having taken nothing, or TooLarge."""
        if self._stopped:
            raise Draining()
        for lane, entries in intake.lanes.items():
            if entries[0].terms.required and not _has_share(lane, intake.charge):
                raise Busy(f"sources hold half of lane {lane.name!r}", AGAIN_SECONDS)
        self._pipeline.accept(intake)
        for route, events in Counter([route.name for route in intake.routes]).items():
            self._meter.edge_received[self.source, route] += events

    def refuse(
        self,
        letter: Event,
        error: IngestError,
        route: Route | None,
        done: Callable[[bool], None],
        reason: Reason = Reason.INVALID,
    ) -> Callable[[], bool]:
        """Write a dead letter, as soon as there is room. `done(False)` if there never can be one.

        Calling the result withdraws a letter for which there was no room yet; it returns whether that was so.
        """
        label = route.name if route is not None else ""
        self._meter.edge_received[self.source, label] += 1
        self._meter.edge_rejected[self.source, label, error.code.value] += 1
        self._meter.note_last(self.source, label, REFUSED, error.code.value, letter.id, error.detail)
        if self._sampling is not None:
            self._sampling.note(self.source, label, error, letter.body, letter.origin.request_id)
        letters = route.dead_letters if route is not None else self._dead_letters
        if letters is None:
            done(False)
            return lambda: False
        return letters.bury_refused(letter, error.detail, error.members.get("errors", ()), done, reason)

    # --- counters

    def skipped(self, why: SkipReason) -> None:
        """A message was passed over."""
        self._meter.source_skipped[self.source, why.value] += 1

    def deduplicated(self, route: Route) -> None:
        """An event was passed over."""
        self._meter.source_deduplicated[self.source, route.name] += 1

    def lapsed(self, messages: int = 1) -> None:
        """Messages are with somebody else too, though they are held here: they may be delivered twice."""
        self._meter.source_lapsed[self.source] += messages


def _unanswered(route: Route) -> Route:
    """The route as it is for events for which nobody waits, and which their source has until they are settled."""
    legs = [
        replace(leg, terms=replace(leg.terms, patient=True, stored=True)) if leg.terms.required else leg
        for leg in route.legs
    ]
    return replace(route, legs=tuple(legs))


def _has_share(lane: Lane, charge: int) -> bool:
    """Whether sources and the journal together hold less than their share of a lane, in which there is room.

    What each event takes differs little within a lane, so theirs is estimated by their number.
    """
    books = lane.books
    if not books.held_events:
        return True
    theirs = books.held_bytes * books.stored_events // books.held_events
    return lane.has_room(charge) and (not theirs or theirs + charge <= lane.capacity // SOURCES_SHARE)
