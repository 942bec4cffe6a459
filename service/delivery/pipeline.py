"""The pipeline: takes events on behalf of every lane of their routes at once, or not at all."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from service.codecs.formats import Form, encode
from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Entry
from service.delivery.lane import Lane
from service.delivery.route import Route, Router
from service.errors import Busy, Code, Draining, InvalidEvent, TooLarge
from service.event import Event
from service.outcome import Reason
from service.receipt import Receipt


class Parcel(Struct, gc=False):
    """An event, ready for every lane of its route."""

    route: Route
    entries: list[Entry]
    """In the order of the route's legs; legs with the same format share one event. Nobody owns them yet."""


class Pipeline:
    """Routes and lanes, alive. Only the event loop's thread calls it."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        lanes: Mapping[str, Lane],
        dead_letters: Iterable[DeadLetters] = (),
    ) -> None:
        self.routes = routes
        self.lanes = lanes
        self.router = Router(routes.values())
        self.draining = False
        self._dead_letters = tuple(dead_letters)

    def parcel(self, route: Route, event: Event) -> Parcel:
        """Shape `event` for the lanes of `route`.

        Raises TooLarge (EVENT_TOO_LARGE, with `limit`, `actual`, `sink`) if a required sink could never take it;
        InvalidEvent (INVALID_KEY) if it has no key, and a sink keeps the order of keys.
        """
        charge = event.charge
        key = len(event.key.encode()) if event.key else 0
        others: dict[Form, tuple[Event, int]] | None = None
        entries = []
        for leg in route.legs:
            version, taken = event, charge
            form = leg.forms[event.id_in_body]
            if form != "original":
                others = {} if others is None else others
                if form not in others:
                    body, content_type = encode(event, form)
                    made = replace(event, body=body, content_type=content_type)
                    others[form] = made, made.charge
                version, taken = others[form]
                if leg.keeps_original:
                    taken += event.charge_beside
            if leg.ordered and event.key is None:
                raise InvalidEvent(
                    Code.INVALID_KEY, f"the event has no key, and sink {leg.name!r} keeps the order of keys", errors=[]
                )
            size = len(version.body) + key + leg.overhead_bytes
            if size > leg.largest and leg.terms.required:
                lane, own = leg.lane, size - leg.overhead_bytes
                raise TooLarge(
                    Code.EVENT_TOO_LARGE,
                    f"the event has {own} bytes with its key; sink {lane.name!r} takes at most "
                    f"{lane.largest_event}; split it, or send a reference to it",
                    limit=lane.largest_event,
                    actual=own,
                    sink=lane.name,
                )
            original = event if leg.keeps_original else version
            entry = Entry(version, original, size, taken, leg.terms, leg.name)
            if leg.partitioned:
                entry.partition = leg.lane.partition(version)
            entries.append(entry)
        return Parcel(route, entries)

    def accept(self, parcels: Sequence[Parcel]) -> Receipt:
        """Put every parcel into every lane of its route, or raise having taken nothing.

        Raises Unavailable when draining, Busy when a required lane, or the partition of one, has no room now,
        TooLarge (BATCH_TOO_LARGE) when a required lane would not have room even if it were empty. Never waits.
        """
        if self.draining:
            raise Draining()
        receipt = Receipt([parcel.route.required for parcel in parcels])
        if len(parcels) == 1 and len(entries := parcels[0].entries) == 1 and (entry := entries[0]).terms.required:
            # what is asked most often, without sums by lane
            lane = parcels[0].route.legs[0].lane
            if lane.has_room(entry.charge) and lane.partition_has_room(entry.partition, entry.charge):
                entry.owner = receipt
                lane.put(entries)
                return receipt
        lanes: dict[Lane, list[Entry]] = {}
        optional = False
        for index, parcel in enumerate(parcels):
            for leg, entry in zip(parcel.route.legs, parcel.entries, strict=True):
                entry.index = index
                if leg.terms.required:
                    entry.owner = receipt
                else:
                    optional = True
                if (batch := lanes.get(leg.lane)) is None:
                    batch = lanes[leg.lane] = []
                batch.append(entry)
        _demand_room(lanes, optional)
        for lane, batch in lanes.items():
            if not optional:
                lane.put(batch)
                continue
            kept, turned_away = _sorted_out(lane, batch)
            lane.put(kept)
            for entry, reason in turned_away:
                lane.turn_away(entry, reason, "the lane did not take it")
        return receipt

    def demand_room(self, route: Route, size: int) -> None:
        """Raise Busy if a required lane of `route` has no room for `size` bytes now, before a body is read for it.

        What not even an empty lane could hold is not told here: it is too large, not too early.
        """
        lanes = [leg.lane for leg in route.legs if leg.terms.required]
        full = [lane for lane in lanes if size <= lane.capacity and not lane.has_room(size)]
        if full:
            raise _busy({lane: f"sink {lane.name!r}" for lane in full})

    async def drain(self, seconds: float) -> bool:
        """Take nothing more, deliver what is held for at most `seconds`, give back the rest.

        Dead-letter lanes go last, with at least a quarter of the time, because what the others give up goes
        there. Returns True if everything was delivered, rejected or safe among the dead letters.
        """
        self.draining = True
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        last = {letters.lane for letters in self._dead_letters}
        first = [lane for lane in self.lanes.values() if lane not in last]
        for lane in self.lanes.values():
            lane.flush()
        await _emptied(first, end - seconds / 4)
        clean = not any(lane.held_events for lane in first)
        await asyncio.gather(*(lane.abandon() for lane in first))
        await _emptied(last, end)
        clean = clean and not any(lane.held_events for lane in last)
        for letters in self._dead_letters:
            letters.close()
        await asyncio.gather(*(lane.abandon() for lane in last))
        for lane in self.lanes.values():
            lane.books.end_burials()
        return clean


def _demand_room(lanes: Mapping[Lane, Sequence[Entry]], optional: bool) -> None:
    """Raise Busy or TooLarge unless every lane has room for what it must take. `optional`: some it may refuse."""
    full: dict[Lane, str] = {}
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
        if not lane.has_room(charge):
            full[lane] = f"sink {lane.name!r}"
        elif lane.partitioned:
            partitions: dict[int, int] = {}
            for entry in batch:
                partitions[entry.partition] = partitions.get(entry.partition, 0) + entry.charge
            if not all(lane.partition_has_room(*each) for each in partitions.items()):
                full[lane] = f"the partition of these keys at sink {lane.name!r}"
    if full:
        raise _busy(full)


def _busy(full: Mapping[Lane, str]) -> Busy:
    """The refusal that names what is full, and asks to come back when the slowest should have room."""
    return Busy(f"no room for {', '.join(full.values())} now", max(lane.retry_after() for lane in full))


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
            if not lane.has_room(promised + entry.charge) or not lane.partition_has_room(entry.partition, place):
                turned_away.append((entry, Reason.LANE_FULL))
                continue
            promised += entry.charge
            places[entry.partition] = place
        kept.append(entry)
    return kept, turned_away


async def _emptied(lanes: Collection[Lane], end: float) -> None:
    """Return when every lane holds nothing, or at loop time `end`."""
    try:
        async with asyncio.timeout_at(end):
            while any(lane.held_events for lane in lanes):  # one may divert what it holds to another
                for lane in lanes:
                    await lane.books.emptied()
    except TimeoutError:
        return
