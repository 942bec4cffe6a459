"""The pipeline: takes events on behalf of every lane of their routes at once, or not at all."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Final, Protocol

from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Entry, Settles
from service.delivery.intake import Intake, shaped
from service.delivery.lane import Lane
from service.delivery.route import JOURNAL, Kept, Route, Router
from service.errors import Busy, Code, Draining, TooLarge, TooMany
from service.event import Event
from service.outcome import Reason
from service.receipt import Receipt
from service.telemetry.journal import JournalGauges

NOT_STORED_SECONDS: Final = 5.0
"""What a producer is told to wait while the journal cannot be written."""
_LOOK_SECONDS: Final = 0.1
"""How often a drain looks whether there is still somebody to wait for."""


class Stored(Protocol):
    """What is stored, and comes to the lanes from there (`journal.Journal`)."""

    @property
    def trouble(self) -> str | None:
        """Why nothing can be stored now, in words; None if it can."""

    @property
    def unreadable(self) -> int:
        """Events that wait, as `state` counts them, and cannot be read."""

    @property
    def state(self) -> JournalGauges | None:
        """What it is like now; None if nothing is stored."""

    def stop_feeding(self) -> None:
        """Hand nothing over any more: what is stored stays."""


class Pipeline:
    """Routes and lanes, alive. Only the event loop's thread calls it."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        lanes: Mapping[str, Lane],
        dead_letters: Iterable[DeadLetters] = (),
        stored: Stored | None = None,
    ) -> None:
        """`stored`: what routes with a keeper have stored."""
        self.routes = routes
        self.lanes = lanes
        self.router = Router(routes.values())
        self.draining = False
        self._dead_letters = {letters.lane.name: letters for letters in dead_letters}
        self.stored = stored

    def accept(self, intake: Intake) -> Receipt:
        """Put every event of `intake` into every lane of its route, or raise having taken nothing.

        What is to be stored first goes to the keeper of its route.

        Raises Unavailable when draining, Busy when a required lane, the partition of one, or a keeper has no room now,
        TooMany (OVER_SHARE) when its sender holds more than its share of one; TooLarge (BATCH_TOO_LARGE) when one would
        not have room even if it were empty. Never waits.
        """
        if not intake.kept:
            self._put(intake.lanes, intake.optional)
            return intake.receipt
        if self.draining:
            raise Draining()
        keepers = [(route.keeper, kept) for route, kept in intake.kept.items() if route.keeper is not None]
        for keeper, _ in keepers:
            keeper.demand_room(intake.charge)
        self._put(intake.lanes, intake.optional)
        for keeper, kept in keepers:
            keeper.store(kept, intake.owner)
        return intake.receipt

    def accept_one(self, route: Route, event: Event, owner: Settles) -> None:
        """The same of one event, of whose end `owner` hears. Raises also what `Intake.add` raises."""
        entries = shaped(route, event, owner, 0)
        if route.keeper is not None:
            if self.draining:
                raise Draining()
            route.keeper.demand_room(event.charge)
            route.keeper.store([Kept(event, entries, 0)], owner)
            return
        if len(entries) == 1 and not self.draining:
            # what is asked most often, without sums
            lane, entry = entries[0]
            if (
                entry.terms.required
                and lane.books.grants(event.origin.sender, entry.charge)
                and lane.has_room(entry.charge)
                and lane.partition_has_room(entry.partition, entry.charge)
            ):
                lane.put([entry])
                return
        self._put({lane: [entry] for lane, entry in entries}, len(route.required) < len(entries))

    def _put(self, lanes: Mapping[Lane, list[Entry]], optional: bool) -> None:
        """Put all, or raise. `optional`: a lane may refuse some of it."""
        if self.draining:
            raise Draining()
        _demand_room(lanes, optional)
        for lane, batch in lanes.items():
            if not optional:
                lane.put(batch)
                continue
            kept, turned_away = _sorted_out(lane, batch)
            lane.put(kept)
            for entry, reason in turned_away:
                lane.turn_away(entry, reason, "the lane did not take it")

    def demand_room(self, route: Route, size: int, sender: str = "") -> None:
        """Raise Busy if a required lane of `route` has no room for `size` bytes now, or TooMany (OVER_SHARE) if they
        are not within the share of `sender`, before a body is read for it.

        What not even an empty lane could hold is not told here: it is too large, not too early.
        """
        lanes = [leg.lane for leg in route.legs if leg.terms.required]
        fitting = [lane for lane in lanes if size <= lane.capacity]
        over = [lane for lane in fitting if route.keeper is None and not lane.books.grants(sender, size)]
        full = [lane for lane in fitting if lane not in over and not lane.has_room(size)]
        _refuse({lane: f"sink {lane.name!r}" for lane in full}, over)

    def letters(self, sink: str) -> DeadLetters:
        """The way to the dead letters at `sink`. Raises KeyError if none go there."""
        return self._dead_letters[sink]

    def retry_after(self, waited_for: str) -> float:
        """Seconds after which what an event waited for, a lane or JOURNAL, should take it."""
        return NOT_STORED_SECONDS if waited_for == JOURNAL else self.lanes[waited_for].retry_after()

    async def drain(self, seconds: float) -> bool:
        """Take nothing more, deliver what is held for at most `seconds`, give back the rest.

        Dead-letter lanes go last, with at least a quarter of the time, because what the others give up goes
        there. Returns True if everything was delivered, rejected or is safe, among the dead letters or stored.
        """
        self.draining = True
        if self.stored is not None:
            self.stored.stop_feeding()
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        last = {letters.lane for letters in self._dead_letters.values()}
        first = [lane for lane in self.lanes.values() if lane not in last]
        for lane in self.lanes.values():
            lane.flush()
        await self._emptied(first, end - seconds / 4)
        clean = not any(map(self._unsafe, first))
        await asyncio.gather(*(lane.abandon() for lane in first))
        await self._emptied(last, end)
        clean = clean and not any(map(self._unsafe, last))
        for letters in self._dead_letters.values():
            letters.close()
        await asyncio.gather(*(lane.abandon() for lane in last))
        for lane in self.lanes.values():
            lane.books.end_burials()
        return clean

    async def _emptied(self, lanes: Collection[Lane], end: float) -> None:
        """Return when every lane holds nothing, or at loop time `end`; a destination that is away is not awaited for
        what is stored."""
        loop = asyncio.get_running_loop()
        while waits := list(filter(self._is_awaited, lanes)):
            seconds = min(end - loop.time(), inf if self.stored is None else _LOOK_SECONDS)
            if seconds <= 0:
                return
            # one may divert what it holds to another
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.gather(*(lane.books.emptied() for lane in waits))

    def _is_awaited(self, lane: Lane) -> bool:
        return self._unsafe(lane) or (lane.held_events > 0 and not lane.breaker.failures)

    def _unsafe(self, lane: Lane) -> bool:
        """Whether a lane has events that are nowhere else."""
        return lane.held_events > lane.books.stored_events


def _demand_room(lanes: Mapping[Lane, Sequence[Entry]], optional: bool) -> None:
    """Raise Busy, TooMany or TooLarge unless every lane has room for what it must take. `optional`: some it may
    refuse."""
    full: dict[Lane, str] = {}
    over: list[Lane] = []
    for lane, batch in lanes.items():
        if optional:
            batch = [entry for entry in batch if entry.terms.required]
        charge = sum([entry.charge for entry in batch])
        if charge > lane.capacity:
            raise TooLarge(
                Code.BATCH_TOO_LARGE,
                f"together the events take {charge} bytes of sink {lane.name!r}, which may hold "
                f"{lane.capacity}; send fewer at once",
                limit=lane.capacity,
                actual=charge,
                sink=lane.name,
            )
        if batch and not lane.books.grants(batch[0].event.origin.sender, charge):
            over.append(lane)
        elif not lane.has_room(charge):
            full[lane] = f"sink {lane.name!r}"
        elif lane.partitioned:
            partitions: dict[int, int] = {}
            for entry in batch:
                partitions[entry.partition] = partitions.get(entry.partition, 0) + entry.charge
            if not all(lane.partition_has_room(*each) for each in partitions.items()):
                full[lane] = f"the partition of these keys at sink {lane.name!r}"
    _refuse(full, over)


def _refuse(full: Mapping[Lane, str], over: Sequence[Lane]) -> None:
    """Raise the refusal that names what is full, or of what the sender holds more than its share, and asks to come back
    when the slowest should have room; if there is any."""
    if full:
        raise Busy(f"no room for {', '.join(full.values())} now", max(lane.retry_after() for lane in full))
    if over:
        for lane in over:
            lane.books.refuse_share()
        raise TooMany(
            Code.OVER_SHARE,
            f"sink {over[0].name!r} is behind, and you hold your share of its memory: wait for your events' answers",
            max(lane.retry_after() for lane in over),
        )


def _sorted_out(lane: Lane, batch: Sequence[Entry]) -> tuple[list[Entry], list[tuple[Entry, Reason]]]:
    """What a lane takes of `batch` (all that it must, of the rest what has room beside it), and why not the others."""
    promised = 0
    places: dict[int, int] = {}
    for entry in batch:
        if entry.terms.required:
            promised += entry.charge
            places[entry.partition] = places.get(entry.partition, 0) + entry.charge
    kept: list[Entry] = []
    turned_away: list[tuple[Entry, Reason]] = []
    for entry in batch:
        if not entry.terms.required:
            if not lane.fits(entry.size):
                turned_away.append((entry, Reason.TOO_LARGE))
                continue
            place = places.get(entry.partition, 0) + entry.charge
            if (
                not lane.books.grants(entry.event.origin.sender, promised + entry.charge)
                or not lane.has_room(promised + entry.charge)
                or not lane.partition_has_room(entry.partition, place)
            ):
                turned_away.append((entry, Reason.LANE_FULL))
                continue
            promised += entry.charge
            places[entry.partition] = place
        kept.append(entry)
    return kept, turned_away
