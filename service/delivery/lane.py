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
from typing import assert_never

from service.delivery.backoff import delay
from service.delivery.entry import Entry
from service.delivery.lanequeue import LaneQueue
from service.delivery.rate import Rate
from service.event import Event
from service.outcome import Delivered, Outcome, Reason, Rejected, Retry
from service.receipt import SETTLED_DELIVERED, Fate, Receipt, Settlement
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
        self.held_bytes = 0
        self.held_events = 0
        self.calls: set[asyncio.Task[None]] = set()
        """Calls in flight."""
        self.failures = 0
        """Whole calls that failed in a row."""
        self.last_failure: Reason | None = None
        self._meter = meter
        self._rng = rng or random.Random()
        self._rate = Rate()
        self._limits = sink.limits
        self._queue = LaneQueue(settings.call_timeout)
        self._loop = asyncio.get_running_loop()
        self._pump_is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._paused_until = 0.0
        self._flushing = False
        self._emptied: asyncio.Future[None] | None = None
        self._buried: dict[Entry, asyncio.TimerHandle | None] = {}

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
    def capacity(self) -> int:
        """Bytes this lane may hold."""
        return self.settings.memory

    def has_room(self, charge: int) -> bool:
        """Whether `charge` more bytes may be put now."""
        return self.held_bytes + charge <= self.settings.memory

    def retry_after(self) -> float:
        """Seconds after which the present backlog should be gone, with jitter; between 1 and 60."""
        rate = self._rate.per_second(self._loop.time())
        seconds = self.held_bytes / rate if rate > 0 else 5.0
        return min(max(seconds * self._rng.uniform(1.0, 1.5), 1.0), 60.0)

    def oldest_age(self) -> float:
        """Seconds since the longest-waiting entry that is not in a call was put; 0 if there is none."""
        oldest = self._queue.oldest()
        return self._loop.time() - oldest if oldest is not None else 0.0

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
        self._give_up(entry, reason, detail)

    def _receive(self, entry: Entry, now: float) -> None:
        entry.queued_at = now
        entry.deadline = inf if entry.terms.patient else now + self.settings.patience
        key = (self.name, entry.terms.route)
        self._meter.lane_received[key] += 1
        self._meter.lane_held[key] += 1
        self.held_bytes += entry.charge
        self.held_events += 1

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
            self._give_up(entry, self.last_failure or Reason.PATIENCE_OVER, "not delivered in time")
        while self._may_call(now):
            batch = self._queue.compose(self._limits)
            call = self._loop.create_task(self._call(batch, now), name=f"lane {self.name}")
            self.calls.add(call)
            call.add_done_callback(self._called)
        self._arm(now)

    def _may_call(self, now: float) -> bool:
        queue = self._queue
        if not queue or now < self._paused_until:
            return False
        if len(self.calls) >= (1 if self.failures else self.settings.concurrency):
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
        self.calls.discard(call)
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
                self._give_up(entry, Reason.SHUTDOWN, "shut down while a call was in flight")
            raise
        except Exception as error:
            # The contract lets a sink raise anything: it says that nothing is known of any event.
            if not self.failures:
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
                        self._refuse(entry, outcome)
                case _:
                    assert_never(outcome)
        if len(unplaced) == len(batch):
            # A sink that places nothing would be called for ever: that is a failure after all.
            failed, unplaced = [(entry, Retry(Reason.NO_ROOM)) for entry in unplaced], []
        self._queue.put_back(unplaced)
        self._settle_delivered(delivered, now)
        result = failed[0][1].reason.value if failed else "delivered"
        self._meter.lane_attempts[self.name, result] += 1
        self._notice(len(failed) == len(batch), failed)
        self._again(failed, now)

    def _notice(self, whole: bool, failed: list[tuple[Entry, Retry]]) -> None:
        """Track whether the destination as a whole is in trouble; warn when that changes, not each time."""
        if whole:
            retry = failed[0][1]
            if not self.failures:
                log.warning(
                    "the destination fails",
                    extra={"sink": self.name, "reason": retry.reason.value, "detail": retry.detail},
                )
            self.failures += 1
            self.last_failure = retry.reason
        elif self.failures:
            log.info(
                "the destination works again",
                extra={"sink": self.name, "failed_calls": self.failures},
            )
            self.failures = 0
            self.last_failure = None
            self._paused_until = 0.0

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
                    self._give_up(entry, retry.reason, retry.detail)
                else:
                    later.append(entry)
            self._queue.put_later(later, moment)
        if failed and self.failures:
            self._paused_until = now + min(delays.values())

    # --- endings

    def _settle_delivered(self, entries: list[Entry], now: float) -> None:
        """Settle all of a call's deliveries: one counter update per route and one receipt update per request."""
        routes: dict[str, int] = {}
        receipts: dict[Receipt, int] = {}
        charge = 0
        for entry in entries:
            charge += entry.charge
            route = entry.terms.route
            routes[route] = routes.get(route, 0) + 1
            owner = entry.owner
            if isinstance(owner, Receipt):
                receipts[owner] = receipts.get(owner, 0) + 1
            elif owner is not None:
                owner.settle(entry.index, self.name, SETTLED_DELIVERED)
        for route, count in routes.items():
            self._meter.lane_settled[self.name, route, Fate.DELIVERED.value, ""] += count
            self._meter.lane_held[self.name, route] -= count
        self._released(len(entries), charge, now)
        for receipt, count in receipts.items():
            receipt.settle_delivered(count)

    def _settle(self, entry: Entry, fate: Fate, reason: Reason, detail: str, refused: bool = False) -> None:
        key = (self.name, entry.terms.route)
        self._meter.lane_settled[(*key, fate.value, reason.value)] += 1
        self._meter.lane_held[key] -= 1
        self._released(1, entry.charge, self._loop.time())
        if entry.owner is not None:
            settlement = Settlement(fate, reason, detail, entry.may_duplicate, refused)
            entry.owner.settle(entry.index, self.name, settlement)

    def _released(self, events: int, charge: int, now: float) -> None:
        self.held_events -= events
        self.held_bytes -= charge
        self._rate.add(charge, now)
        if not self.held_events and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def _give_up(self, entry: Entry, reason: Reason, detail: str) -> None:
        """End an entry that was not delivered and may not be tried again."""
        terms = entry.terms
        if terms.required:
            self._settle(entry, Fate.EXPIRED, reason, detail)
        elif terms.graveyard is None or not terms.graveyard.bury_at_once(
            entry,
            self.name,
            reason,
            detail,
            lambda kept: self._after_burial(entry, kept, reason, detail),
        ):
            self._settle(entry, Fate.DROPPED, reason, detail)
        else:
            self._buried[entry] = None

    def _refuse(self, entry: Entry, rejected: Rejected) -> None:
        """End an entry that the sink will never take: dead letter where there is one."""
        terms, reason, detail = entry.terms, rejected.reason, rejected.detail
        if not terms.required:
            self._give_up(entry, reason, detail)
        elif terms.graveyard is None:
            self._settle(entry, Fate.REJECTED, reason, detail, refused=True)
        else:
            self._buried[entry] = None
            if entry.deadline < inf:
                self._buried[entry] = self._loop.call_at(
                    entry.deadline, self._after_burial, entry, False, reason, detail
                )
            terms.graveyard.bury(
                entry,
                self.name,
                reason,
                detail,
                lambda kept: self._after_burial(entry, kept, reason, detail),
            )

    def _after_burial(self, entry: Entry, kept: bool, reason: Reason, detail: str) -> None:
        """The dead letter is safe, or never will be, or the producer's patience is over: settle once."""
        if entry not in self._buried:
            return
        timer = self._buried.pop(entry)
        if timer is not None:
            timer.cancel()
        refused = entry.terms.required
        if kept:
            self._settle(entry, Fate.DEAD_LETTERED, reason, detail, refused)
        else:
            self._settle(entry, Fate.REJECTED if refused else Fate.DROPPED, reason, detail, refused)

    # --- the end of the life

    def flush(self) -> None:
        """Stop lingering: everything ready leaves as soon as a call is free."""
        self._flushing = True
        self._wake()

    async def emptied(self) -> None:
        """Return once the lane holds nothing."""
        if self.held_events:
            self._emptied = self._emptied or self._loop.create_future()
            await asyncio.shield(self._emptied)

    async def abandon(self) -> None:
        """Give up everything that is left as `SHUTDOWN`: calls are cancelled, waiting events handed back."""
        for entry in self._queue.clear():
            self._give_up(entry, Reason.SHUTDOWN, "shut down before it was delivered")
        calls = list(self.calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for entry in self._queue.clear():
            self._give_up(entry, Reason.SHUTDOWN, "shut down before it was delivered")

    def end_burials(self) -> None:
        """Settle what still waits for a dead letter, once the dead-letter lanes have ended too."""
        for entry in list(self._buried):
            self._after_burial(entry, False, Reason.SHUTDOWN, "shut down before its dead letter was safe")
