"""A lane's books: what it holds, and how each entry ended. Every entry that is received is settled exactly once.

In any one snapshot: received = the sum of the settled, by fate, + held.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import ParamSpec

from msgspec import Struct

from service.delivery.entry import Entry, Settles, Terms
from service.delivery.rate import Rate
from service.delivery.senders import sender
from service.delivery.shares import Shares
from service.outcome import Reason
from service.receipt import Fate, Settlement
from service.telemetry.meter import Meter

log = logging.getLogger(__name__)

P = ParamSpec("P")

SHORTEST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0
UNKNOWN_RETRY_SECONDS = 5.0
"""What is told when nothing was delivered lately, so that no rate is known."""


class _Run(Struct, gc=False):
    """Entries in a row that differ in nothing that the books ask for."""

    terms: Terms
    owner: Settles | None
    partition: int
    sender: str
    first: int
    """Where it begins."""
    events: int
    charge: int


def _runs(entries: Iterable[Entry]) -> list[_Run]:
    runs: list[_Run] = []
    terms = owner = run = None
    partition = 0
    for at, entry in enumerate(entries):
        if (
            run is not None
            and entry.terms is terms
            and entry.owner is owner
            and entry.partition == partition
            # what has an owner is of its request
            and (owner is not None or sender(entry) == run.sender)
        ):
            run.events += 1
            run.charge += entry.charge
        else:
            terms, owner, partition = entry.terms, entry.owner, entry.partition
            run = _Run(terms, owner, partition, sender(entry), at, 1, entry.charge)
            runs.append(run)
    return runs


class Books:
    """The entries of one lane, from `receive` to `settle`."""

    def __init__(self, sink: str, meter: Meter, rng: random.Random, capacity: int) -> None:
        """`capacity`: bytes that the lane may hold."""
        self.held_bytes = 0
        self.held_events = 0
        self.stored_events = 0
        """Of those held, what the journal, or a source, has too."""
        self.partition_bytes: dict[int, int] = {}
        """What is held of each partition that has something."""
        self._sink = sink
        self._meter = meter
        self._rng = rng
        self._rate = Rate()
        self._loop = asyncio.get_running_loop()
        self.shares = Shares(capacity, self._loop.time)
        """What is held of each sender."""
        self._capacity = capacity
        self._emptied: asyncio.Future[None] | None = None
        self.released: list[Callable[[], object]] = []
        """Called whenever there is more room."""
        self._buried: dict[Entry, asyncio.TimerHandle | None] = {}
        """Entries whose dead letter is not yet safe, and the timer of those that somebody waits for."""

    def grants(self, sender: str, charge: int) -> bool:
        """Whether `charge` more bytes are within the sender's share of the lane."""
        if 2 * (self.held_bytes + charge) <= self._capacity or not sender:
            return True  # what is asked most often, without more
        return self.shares.grants(sender, charge, self.held_bytes)

    def refuse_share(self) -> None:
        """A request is refused, because its sender holds more than its share."""
        self._meter.share_refusals["lane", self._sink] += 1

    def receive(self, entries: Sequence[Entry]) -> None:
        """The lane is responsible for `entries` from now on: one counter update per route."""
        if len(entries) == 1:
            self._receive_one(entries[0])
            return
        runs = _runs(entries)
        events, charge = self._count(runs, 1)
        for route, count in events.items():
            self._meter.lane_received[self._sink, route] += count
            self._meter.lane_held[self._sink, route] += count
            self.held_events += count
        self.held_bytes += charge

    def _receive_one(self, entry: Entry) -> None:
        """What is done most often, without sums."""
        key = (self._sink, entry.terms.route)
        self._meter.lane_received[key] += 1
        self._meter.lane_held[key] += 1
        self._shift(entry.partition, entry.charge)
        if who := sender(entry):
            self.shares.add(who, entry.charge)
        self.held_bytes += entry.charge
        self.held_events += 1
        self.stored_events += entry.terms.stored

    def _count(self, runs: Iterable["_Run"], sign: int) -> tuple[dict[str, int], int]:
        """Events by route, and bytes, of `runs`; partitions hold so many more, or fewer."""
        events: dict[str, int] = {}
        charge = 0
        for run in runs:
            route = run.terms.route
            events[route] = events.get(route, 0) + run.events
            if run.terms.stored:
                self.stored_events += sign * run.events
            self._shift(run.partition, sign * run.charge)
            if run.sender:
                self.shares.add(run.sender, sign * run.charge)
            charge += run.charge
        return events, charge

    def move(self, entry: Entry, partition: int) -> None:
        """The entry goes to another partition than was thought."""
        self._shift(entry.partition, -entry.charge)
        entry.partition = partition
        self._shift(partition, entry.charge)

    def _shift(self, partition: int, charge: int) -> None:
        held = self.partition_bytes.get(partition, 0) + charge
        if held:
            self.partition_bytes[partition] = held
        else:
            self.partition_bytes.pop(partition, None)

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Settle all of a call's deliveries: one counter update per route, one receipt update per request."""
        for entry in entries:
            entry.settled = True
        runs = _runs(entries)
        events, charge = self._count(runs, -1)
        for route, count in events.items():
            self._meter.lane_settled[self._sink, route, Fate.DELIVERED.value, ""] += count
            self._meter.lane_held[self._sink, route] -= count
        self._rate.add(charge, self._loop.time())
        self._released(sum(events.values()), charge)
        for run in runs:
            if run.owner is not None:
                self._tell(run.owner.settle_delivered, entries[run.first : run.first + run.events])

    def _tell(self, hears: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            hears(*args, **kwargs)
        except Exception:
            # Whoever waits for an event runs code of its own; no other event may be stranded by it.
            log.critical("the end of an event could not be told", extra={"sink": self._sink}, exc_info=True)

    def ended(self, entry: Entry) -> bool:
        """Whether the entry is settled, or will be once its dead letter is safe."""
        return entry.settled or entry in self._buried

    def give_up(self, entry: Entry, reason: Reason, detail: str) -> None:
        """End an entry that was not delivered and may not be tried again."""
        terms = entry.terms
        if terms.required:
            self._settle(entry, Fate.EXPIRED, reason, detail)
            return
        done = self._burial(entry, reason, detail)
        kept = False
        if terms.graveyard is not None:
            try:
                kept = terms.graveyard.bury_at_once(entry, self._sink, reason, detail, done)
            except Exception:
                # whatever an envelope meets in a foreign body: the other events must not suffer
                log.critical("a dead letter could not be written", extra={"sink": self._sink}, exc_info=True)
        if kept:
            self._buried[entry] = None
        else:
            self._settle(entry, Fate.DROPPED, reason, detail)

    def pass_through(self, route: str, fate: Fate, reason: Reason) -> None:
        """Count an event that never came into the lane, and has ended."""
        self._meter.lane_received[self._sink, route] += 1
        self._meter.lane_settled[self._sink, route, fate.value, reason.value] += 1

    def divert(self, entry: Entry, reason: Reason) -> None:
        """The fallback lane is responsible for the event now; it answers for it."""
        self._settle(entry, Fate.DIVERTED, reason, "")

    def refuse(self, entry: Entry, reason: Reason, detail: str) -> None:
        """End an entry that the sink will never take: a dead letter, where there is a place for one."""
        terms = entry.terms
        if not terms.required:
            self.give_up(entry, reason, detail)
        elif terms.graveyard is None:
            self._settle(entry, Fate.REJECTED, reason, detail, refused=True)
        else:
            self._buried[entry] = None
            done = self._burial(entry, reason, detail)
            try:
                withdraw = terms.graveyard.bury(entry, self._sink, reason, detail, done)
            except Exception:
                # as above; the event is refused as if there were no place for dead letters
                log.critical("a dead letter could not be written", extra={"sink": self._sink}, exc_info=True)
                done(False)
                return
            if entry in self._buried and entry.deadline < inf:
                self._buried[entry] = self._loop.call_at(entry.deadline, _too_late, done, withdraw)

    def _burial(self, entry: Entry, reason: Reason, detail: str) -> Callable[[bool], None]:
        return lambda kept: self._after_burial(entry, kept, reason, detail)

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

    def end_burials(self) -> None:
        """Settle what still waits for a dead letter, once the dead-letter lanes have ended too."""
        for entry in list(self._buried):
            self._after_burial(entry, False, Reason.SHUTDOWN, "shut down before its dead letter was safe")

    def _settle(self, entry: Entry, fate: Fate, reason: Reason, detail: str, refused: bool = False) -> None:
        entry.settled = True
        key = (self._sink, entry.terms.route)
        self._meter.lane_settled[(*key, fate.value, reason.value)] += 1
        self._meter.lane_held[key] -= 1
        if fate is not Fate.DIVERTED:
            self._meter.note_last(*key, fate.value, reason.value, entry.event.id, detail)
        self.stored_events -= entry.terms.stored
        self._shift(entry.partition, -entry.charge)
        if who := sender(entry):
            self.shares.add(who, -entry.charge)
        self._released(1, entry.charge)
        if entry.owner is not None and fate is not Fate.DIVERTED:
            settlement = Settlement(fate, reason, detail, entry.may_duplicate, refused)
            self._tell(entry.owner.settle, entry.index, entry.lane, settlement)

    def _released(self, events: int, charge: int) -> None:
        self.held_events -= events
        self.held_bytes -= charge
        if not self.held_events and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)
        for hears in self.released:
            hears()

    async def emptied(self) -> None:
        """Return once nothing is held."""
        if self.held_events:
            if self._emptied is None or self._emptied.done():
                self._emptied = self._loop.create_future()
            await asyncio.shield(self._emptied)

    def retry_after(self, delivering: bool = True) -> float:
        """Seconds until what is held should be delivered: backlog over the rate of deliveries, with jitter; 1 to 60.

        What was given up is no progress, and does not count. `delivering`: False while the destination fails, when
        the rate says nothing of the time after.
        """
        rate = self._rate.per_second(self._loop.time()) if delivering else 0.0
        seconds = self.held_bytes / rate if rate > 0 else UNKNOWN_RETRY_SECONDS
        return min(max(seconds * self._rng.uniform(1.0, 1.5), SHORTEST_RETRY_SECONDS), LONGEST_RETRY_SECONDS)


def _too_late(done: Callable[[bool], None], withdraw: Callable[[], object]) -> None:
    """The producer is about to hear that there is no dead letter: none may wait for room, unaccounted."""
    withdraw()
    done(False)
