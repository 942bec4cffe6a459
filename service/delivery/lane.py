"""The lane: one sink behind one bounded queue; the only place that waits, batches, limits and retries.

Promises: what it holds is bounded in bytes; each entry is settled exactly once; only what failed is sent again; no
call starts that could end after the deadline of an event in it; nothing it does waits for another lane; a hot partition
slows only its own events; what it asks of a destination follows what that can do.
"""

import asyncio
import logging
import random
from collections.abc import Coroutine, Sequence
from functools import partial
from math import inf
from typing import Any

from service.delivery import attempt
from service.delivery.alarm import Alarm
from service.delivery.books import Books
from service.delivery.breaker import Breaker
from service.delivery.calls import Calls
from service.delivery.digest import Digest
from service.delivery.diversion import divert
from service.delivery.entry import Entry, Fallback
from service.delivery.lanequeue import LaneQueue
from service.delivery.limiter import Limiter
from service.delivery.placing import Placing
from service.delivery.retries import Retries
from service.delivery.times import measure
from service.event import Event
from service.outcome import Reason
from service.sinks.contract import Batch, Partitioned, Sink, SinkConfig
from service.telemetry.meter import LaneTimes, Meter

log = logging.getLogger(__name__)

PARTITION_SHARE = 4
"""A partition holds at most this part of a lane that has several: a quarter."""
CROWDED = 2 * PARTITION_SHARE
"""A lane that holds this part of its memory lingers no more: what would fill a batch may have no room."""
AFTER_DEFECT_SECONDS = 1.0
"""After a defect in the lane itself, or in a sink's own part of it."""


class Lane:
    """One sink behind one bounded queue."""

    def __init__(
        self, name: str, sink: Sink, settings: SinkConfig, meter: Meter, rng: random.Random | None = None
    ) -> None:
        rng = rng or random.Random()
        self.name = name
        self.sink = sink
        self.settings = settings
        self.capacity = settings.memory
        """Bytes this lane may hold."""
        self.fallback: Fallback | None = None
        self.attempt = attempt.write
        self.calls = Calls(sink.limits, settings.memory)
        self.breaker = Breaker(name, rng)
        self.limiter = Limiter(min(settings.concurrency_floor, settings.concurrency), settings.concurrency)
        self._meter = meter
        partitioned = sink if isinstance(sink, Partitioned) else None
        self.partitioned = partitioned is not None
        self.books = Books(name, meter, rng, settings.memory)
        """What the lane holds, and how each entry ended."""
        self._times = meter.lanes.setdefault(name, LaneTimes())
        self._placing = Placing(name, partitioned, self.books)
        self._limits = sink.limits
        self._largest = min(sink.limits.event_bytes, sink.limits.batch_bytes)
        self._queue = LaneQueue(settings.call_timeout, partitioned, ordered=settings.order == "key")
        self._retries = Retries(name, meter, settings.call_timeout, rng)
        self._loop = asyncio.get_running_loop()
        self._pump_is_due = self._flushing = self._ended = False
        self._diverts_at = 0.0
        self._alarm = Alarm(self._wake)

    # --- admission

    def size(self, event: Event) -> int:
        """Bytes that `event` takes of the sink's limits."""
        key = len(event.key.encode()) if event.key else 0
        return len(event.body) + key + self._limits.overhead_bytes

    def fits(self, size: int) -> bool:
        """Whether the sink could ever take an event of `size`."""
        return size <= self._largest

    def partition(self, event: Event) -> int:
        """The partition of the destination that `event` would go to; 0 where there is only one."""
        return self._placing.partition(event)

    @property
    def largest_event(self) -> int:
        """Bytes of the largest event (body and key) that the sink takes."""
        return self._largest - self._limits.overhead_bytes

    @property
    def held_bytes(self) -> int:
        """Bytes this lane is accounted for now."""
        return self.books.held_bytes

    @property
    def held_events(self) -> int:
        """Events that are not settled."""
        return self.books.held_events

    def has_room(self, charge: int) -> bool:
        """Whether `charge` more bytes may be put now."""
        return self.books.held_bytes + charge <= self.settings.memory

    def partition_has_room(self, partition: int, charge: int) -> bool:
        """Whether `charge` more bytes may be put into one partition now; an empty one takes what the lane takes."""
        held = self.books.partition_bytes.get(partition, 0)
        share = PARTITION_SHARE if len(self._queue.partitions) > 1 else 1
        return not held or held + charge <= self.settings.memory // share

    def retry_after(self) -> float:
        """Seconds after which the present backlog should be gone, with jitter; between 1 and 60."""
        return self.books.retry_after(delivering=not self.breaker.failures)

    def oldest_age(self) -> float:
        """Seconds since the longest-waiting entry was put, be it in a call or not; 0 if there is none."""
        oldest = min(self._queue.oldest(), self.calls.oldest())
        return self._loop.time() - oldest if oldest < inf else 0.0

    def put(self, entries: Sequence[Entry]) -> None:
        """Take responsibility for `entries`. The caller has asked `fits` and whether there is room."""
        now = self._loop.time()
        self._queue.put(entries, now, now + self.settings.patience)
        self.books.receive(entries)
        self._wake()

    def adopt(self, entry: Entry) -> None:
        """Take responsibility for an entry of another lane, which keeps its deadline."""
        now = self._loop.time()
        entry.queued_at = now
        self.books.receive([entry])
        self._queue.adopt(entry, now)
        self._wake()

    def turn_away(self, entry: Entry, reason: Reason, detail: str) -> None:
        """End a best-effort entry for which there is no place here: it only passes through the books."""
        entry.charge = 0
        if not entry.terms.patient:
            entry.deadline = self._loop.time() + self.settings.patience
        self.books.receive([entry])
        self.books.give_up(entry, reason, detail)

    # --- the pump: decides what is sent now, and when to look again

    def _wake(self) -> None:
        if self._ended:
            self._hand_back()
        elif not self._pump_is_due:
            self._pump_is_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_is_due = False
        if self._ended:
            return
        now = self._loop.time()
        try:
            self._advance(now)
            moment = self._next_moment(now)
        except Exception:
            # Ours, or a foreign sink's: whatever it is, what the lane holds must not wait for ever.
            log.critical("a lane could not go on, and tries again", extra={"sink": self.name}, exc_info=True)
            moment = now + AFTER_DEFECT_SECONDS
        self._alarm.set(moment)

    def _advance(self, now: float) -> None:
        if self._placing.changed():
            self._queue.rearrange(self._placing.renew, now)
        self._queue.promote(now)
        overdue = list(self._queue.overdue(now))
        for entry in overdue:
            self.books.give_up(entry, self.breaker.reason or Reason.PATIENCE_OVER, "not delivered in time")
        self._queue.finish(overdue, now)
        while self._queue and self._lingered(now) and self._may_call(now) and (room := self.calls.room()):
            batch = self._queue.compose(self._limits, now, room)
            if batch:
                self._begin(self._call(batch, now), batch, now)
        if self.breaker.diverts and self.fallback is not None and now >= self._diverts_at:
            self._diverts_at = divert(self._queue, self.fallback, self.books, self.breaker, now)
        if self.breaker.failures and self._queue.idle and now >= self.breaker.resumes(True) and self._may_call(now):
            self._begin(self._probe(), [], now)

    def _may_call(self, now: float) -> bool:
        return self.breaker.may_call(len(self.calls), self.limiter.limit, now)

    def _lingered(self, now: float) -> bool:
        if self._flushing or not self.settings.linger:
            return True
        crowded = self.books.held_bytes >= self.settings.memory // CROWDED
        return crowded or now >= self._queue.oldest_ready() + self.settings.linger or self._queue.fills(self._limits)

    def _next_moment(self, now: float) -> float:
        """When `_pump` would next do something that no event announces; inf if never."""
        moments = [self._queue.next_overdue(), self._queue.next_promotion()]
        if self._queue and self.breaker.diverts and self.fallback is not None:
            moments.append(self._diverts_at)
        if now < (resumes_at := self.breaker.resumes(self._queue.idle)):
            moments.append(resumes_at)
        elif self._queue and not self._lingered(now):
            moments.append(self._queue.oldest_ready() + self.settings.linger)
        return min(moments)

    # --- one call, and what becomes of its events

    def _begin(self, call: Coroutine[Any, Any, None], batch: list[Entry], now: float) -> None:
        task = self._loop.create_task(call, name=f"lane {self.name}")
        self.calls.begin(task, batch, now)
        self.breaker.tries()
        self.limiter.began(len(self.calls))
        task.add_done_callback(partial(self._called, batch))

    def _called(self, batch: list[Entry], call: asyncio.Task[None]) -> None:
        self.calls.end(call)
        if call.cancelled():
            self._give_back(batch, Reason.SHUTDOWN, "shut down while a call was in flight")
        elif (defect := call.exception()) is not None:
            log.critical("a lane could not settle a call", extra={"sink": self.name}, exc_info=defect)
            self._give_back(batch, Reason.SINK_ERROR, f"the call could not be settled: {type(defect).__name__}")
        self._wake()

    def _give_back(self, batch: list[Entry], reason: Reason, detail: str) -> None:
        """End what a call has left neither ended nor waiting. It was on the wire: each event may have been written."""
        waiting = set(self._queue.entries())
        left = [entry for entry in batch if entry not in waiting]
        for entry in left:
            if not self.books.ended(entry):
                entry.may_duplicate = True
                self.books.give_up(entry, reason, detail)
        self._queue.finish(left, self._loop.time())

    async def _call(self, batch: list[Entry], started: float) -> None:
        events = Batch([entry.event for entry in batch])
        silent = self.breaker.failures > 0
        generation = self._placing.generation
        outcomes = await self.attempt(self.name, self.sink, events, started, self.settings.call_timeout, silent)
        digest = Digest(batch, outcomes, self.partitioned)
        if moved := generation != self._placing.generation:
            self._placing.renew(digest.left)
        self._settle(digest, len(batch), started, moved)

    def _settle(self, digest: Digest, events: int, started: float, moved: bool) -> None:
        now = self._loop.time()
        failures = [retry for _, retry in digest.failed]
        self._queue.put_back(digest.unplaced, now)
        self.books.deliver(digest.delivered)
        for entry, rejected in digest.refused:
            entry.attempts += 1
            self.books.refuse(entry, rejected.reason, rejected.detail)
        # what was not sent, or is about a partition, says nothing of the destination
        told = events - len(digest.throttled) - len(digest.unplaced)
        if told:
            self.breaker.note(told, failures, now)
        if self.partitioned:
            self._retries.of_partitions(digest, self._queue, now, moved)
        given_up = self._retries.of_events(digest.failed, self._queue, self.breaker, self.books, now)
        ended = [*digest.delivered, *(entry for entry, _ in digest.refused), *given_up]
        self._queue.finish(ended, now)
        # last: what is owed to producers depends on nothing measured
        self._meter.lane_attempts[self.name, digest.result] += 1
        measure(self._times, digest.delivered, events, started, now)
        self.limiter.ended(now - started, bool(failures) and len(failures) == told, len(self.calls) - 1)

    async def _probe(self) -> None:
        """Ask a destination that failed, and for which nothing waits, whether it can be used again."""
        reason = self.breaker.reason or Reason.UNAVAILABLE
        trouble = await attempt.probe(self.sink, self.settings.call_timeout, reason)
        if trouble is None:
            self.breaker.recover()
        else:
            self.breaker.fail(trouble, self._loop.time(), idle=True)

    # --- the end of the life

    def flush(self) -> None:
        """Stop lingering: everything ready leaves as soon as a call is free."""
        self._flushing = True
        self._wake()

    async def abandon(self) -> None:
        """Give up everything that is left as `SHUTDOWN`: calls are cancelled, waiting events handed back.

        The sink may be closed then: nothing is called any more, and what still comes is given up at once.
        """
        self._ended = True
        self._hand_back()
        calls = list(self.calls.tasks)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        self._alarm.set(inf)

    def _hand_back(self) -> None:
        for entry in self._queue.clear():
            self.books.give_up(entry, Reason.SHUTDOWN, "shut down before it was delivered")
