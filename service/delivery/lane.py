"""The lane: one sink behind one bounded queue; the only place that waits, batches, limits and retries.

Promises: what it holds is bounded in bytes; each entry is settled exactly once; only what failed is sent
again; no call starts that could end after the deadline of an event in it; nothing it does waits for
another lane.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from math import inf

from service.delivery.backoff import delay
from service.delivery.books import Books
from service.delivery.condition import Condition
from service.delivery.entry import Entry
from service.delivery.lanequeue import LaneQueue
from service.event import Event
from service.outcome import Delivered, Outcome, Reason, Rejected, Retry
from service.sinks.contract import Batch, Sink, SinkConfig
from service.telemetry.meter import Meter

log = logging.getLogger(__name__)


class Lane:
    """One sink behind one bounded queue."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        settings: SinkConfig,
        meter: Meter,
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.sink = sink
        self.settings = settings
        self.calls: dict[asyncio.Task[None], float] = {}
        """Calls in flight, and when the longest-waiting entry of each was put (loop time)."""
        self.condition = Condition(name)
        self._meter = meter
        self._rng = rng or random.Random()
        self._books = Books(name, meter, self._rng)
        self._limits = sink.limits
        self._queue = LaneQueue(settings.call_timeout)
        self._loop = asyncio.get_running_loop()
        self._pump_is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._paused_until = 0.0
        self._flushing = False

    # --- admission

    def size(self, event: Event) -> int:
        """Bytes that `event` takes of the sink's limits."""
        key = len(event.key.encode()) if event.key else 0
        return len(event.body) + key + self._limits.overhead_bytes

    def fits(self, size: int) -> bool:
        """Whether the sink could ever take an event of `size`."""
        return size <= min(self._limits.event_bytes, self._limits.batch_bytes)

    @property
    def largest_event(self) -> int:
        """Bytes of the largest event (body and key) that the sink takes."""
        return min(self._limits.event_bytes, self._limits.batch_bytes) - self._limits.overhead_bytes

    @property
    def held_bytes(self) -> int:
        """Bytes this lane is accounted for now."""
        return self._books.held_bytes

    @property
    def held_events(self) -> int:
        """Events that are not settled."""
        return self._books.held_events

    @property
    def capacity(self) -> int:
        """Bytes this lane may hold."""
        return self.settings.memory

    def has_room(self, charge: int) -> bool:
        """Whether `charge` more bytes may be put now."""
        return self._books.held_bytes + charge <= self.settings.memory

    def retry_after(self) -> float:
        """Seconds after which the present backlog should be gone, with jitter; between 1 and 60."""
        return self._books.retry_after()

    def oldest_age(self) -> float:
        """Seconds since the longest-waiting entry was put, be it in a call or not; 0 if there is none."""
        waiting = self._queue.oldest()
        moments = [*self.calls.values(), *(() if waiting is None else (waiting,))]
        return self._loop.time() - min(moments) if moments else 0.0

    def put(self, entries: Sequence[Entry]) -> None:
        """Take responsibility for `entries`. The caller has asked `fits` and `has_room`."""
        now = self._loop.time()
        for entry in entries:
            self._receive(entry, now)
            self._queue.put(entry)
        self._wake()

    def turn_away(self, entry: Entry, reason: Reason, detail: str) -> None:
        """End a best-effort entry for which there is no place here: it only passes through the books."""
        entry.charge = 0
        self._receive(entry, self._loop.time())
        self._books.give_up(entry, reason, detail)

    def _receive(self, entry: Entry, now: float) -> None:
        entry.queued_at = now
        entry.deadline = inf if entry.terms.patient else now + self.settings.patience
        self._books.receive(entry)

    # --- the pump: decides what is sent now, and when to look again

    def _wake(self) -> None:
        if not self._pump_is_due:
            self._pump_is_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_is_due = False
        now = self._loop.time()
        self._queue.promote(now)
        for entry in self._queue.overdue(now):
            self._books.give_up(entry, self.condition.reason or Reason.PATIENCE_OVER, "not delivered in time")
        while self._may_call(now):
            batch = self._queue.compose(self._limits)
            call = self._loop.create_task(self._call(batch, now), name=f"lane {self.name}")
            self.calls[call] = batch[0].queued_at
            call.add_done_callback(self._called)
        self._arm(now)

    def _may_call(self, now: float) -> bool:
        queue = self._queue
        if not queue or now < self._paused_until:
            return False
        if len(self.calls) >= (1 if self.condition.failures else self.settings.concurrency):
            return False
        return self._flushing or self._lingered(now)

    def _lingered(self, now: float) -> bool:
        due = self._queue.oldest_ready() + self.settings.linger
        return now >= due or self._queue.fills(self._limits)

    def _arm(self, now: float) -> None:
        """Set the one timer to the next moment at which `_pump` would do something that no event announces."""
        moments = [self._queue.next_overdue(), self._queue.next_promotion()]
        if self._queue:
            if now < self._paused_until:
                moments.append(self._paused_until)
            elif self.settings.linger and not self._flushing:
                due = self._queue.oldest_ready() + self.settings.linger
                if due > now:
                    moments.append(due)
        moment = min(moments)
        if self._timer is not None:
            if self._timer.when() == moment:
                return
            self._timer.cancel()
            self._timer = None
        if moment < inf:
            self._timer = self._loop.call_at(moment, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake()

    # --- one call, and what becomes of its events

    def _called(self, call: asyncio.Task[None]) -> None:
        self.calls.pop(call, None)
        self._wake()
        if not call.cancelled() and (defect := call.exception()) is not None:
            log.critical("a lane could not settle a call", extra={"sink": self.name}, exc_info=defect)

    async def _call(self, batch: list[Entry], started: float) -> None:
        outcomes: Sequence[Outcome]
        try:
            async with asyncio.timeout_at(started + self.settings.call_timeout):
                outcomes = await self.sink.write(Batch([entry.event for entry in batch]))
            if len(outcomes) != len(batch):
                detail = f"{len(outcomes)} outcomes for {len(batch)} events"
                outcomes = [Retry(Reason.BAD_ANSWER, detail=detail)] * len(batch)
        except TimeoutError:
            detail = f"no answer within {self.settings.call_timeout:g} s"
            outcomes = [Retry(Reason.TIMEOUT, detail=detail)] * len(batch)
        except asyncio.CancelledError:
            # Only `abandon` cancels: the call was on the wire, so each event may have been written.
            for entry in batch:
                entry.may_duplicate = True
                self._books.give_up(entry, Reason.SHUTDOWN, "shut down while a call was in flight")
            raise
        except Exception as error:
            # The contract lets a sink raise anything: it says that nothing is known of any event.
            if not self.condition.failures:
                log.exception("the sink raised", extra={"sink": self.name})
            outcomes = [Retry(Reason.SINK_ERROR, detail=type(error).__name__)] * len(batch)
        self._digest(batch, outcomes)

    def _digest(self, batch: list[Entry], outcomes: Sequence[Outcome]) -> None:
        now = self._loop.time()
        delivered: list[Entry] = []
        failed: list[tuple[Entry, Retry]] = []
        unplaced: list[Entry] = []
        for entry, outcome in zip(batch, outcomes, strict=True):
            match outcome:
                case Delivered():
                    entry.attempts += 1
                    delivered.append(entry)
                case Retry(reason=Reason.NO_ROOM) if len(batch) > 1:
                    unplaced.append(entry)
                case Retry():
                    failed.append((entry, outcome))
                case Rejected():
                    if entry.terms.last_resort:
                        failed.append((entry, Retry(outcome.reason, detail=outcome.detail)))
                    else:
                        entry.attempts += 1
                        self._books.refuse(entry, outcome.reason, outcome.detail)
                case _:
                    # Not an Outcome: the types forbid it, but a sink may be somebody else's.
                    failed.append((entry, Retry(Reason.BAD_ANSWER, detail=f"a {type(outcome).__name__}")))
        if len(unplaced) == len(batch):
            # A sink that places nothing would be called for ever: that is a failure after all.
            failed, unplaced = [(entry, Retry(Reason.NO_ROOM)) for entry in unplaced], []
        self._queue.put_back(unplaced)
        self._books.deliver(delivered)
        result = failed[0][1].reason.value if failed else "delivered"
        self._meter.lane_attempts[self.name, result] += 1
        self.condition.note(len(batch), [retry for _, retry in failed])
        if not self.condition.failures:
            self._paused_until = 0.0
        self._again(failed, now)

    def _again(self, failed: list[tuple[Entry, Retry]], now: float) -> None:
        """Queue what failed for another attempt: one delay per number of attempts, so that it leaves together."""
        delays: dict[int, float] = {}
        groups: dict[int, list[Entry]] = {}
        for entry, retry in failed:
            entry.attempts += 1
            entry.may_duplicate = entry.may_duplicate or retry.reason.may_have_written
            if entry.attempts not in delays:
                delays[entry.attempts] = delay(entry.attempts, retry.after, self._rng)
            elif retry.after:
                delays[entry.attempts] = max(delays[entry.attempts], retry.after)
            groups.setdefault(entry.attempts, []).append(entry)
            self._meter.lane_retries[self.name, retry.reason.value] += 1
        reasons = {id(entry): retry for entry, retry in failed}
        for attempts, group in groups.items():
            moment = now + delays[attempts]
            later = []
            for entry in group:
                if moment + self.settings.call_timeout > entry.deadline:
                    retry = reasons[id(entry)]
                    self._books.give_up(entry, retry.reason, retry.detail)
                else:
                    later.append(entry)
            self._queue.put_later(later, moment)
        if failed and self.condition.failures:
            self._paused_until = now + min(delays.values())

    # --- the end of the life

    def flush(self) -> None:
        """Stop lingering: everything ready leaves as soon as a call is free."""
        self._flushing = True
        self._wake()

    async def emptied(self) -> None:
        """Return once the lane holds nothing."""
        await self._books.emptied()

    async def abandon(self) -> None:
        """Give up everything that is left as `SHUTDOWN`: calls are cancelled, waiting events handed back."""
        for entry in self._queue.clear():
            self._books.give_up(entry, Reason.SHUTDOWN, "shut down before it was delivered")
        calls = list(self.calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for entry in self._queue.clear():
            self._books.give_up(entry, Reason.SHUTDOWN, "shut down before it was delivered")

    def end_burials(self) -> None:
        """Settle what still waits for a dead letter, once the dead-letter lanes have ended too."""
        self._books.end_burials()
