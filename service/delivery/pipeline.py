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


class Load(Struct, gc=False):
    """An event as one leg of its route sends it, and what it takes there."""

    event: Event
    size: int
    """Bytes against the sink's limits."""
    charge: int
    """Bytes against the lane's memory."""
    partition: int


class Parcel(Struct, gc=False):
    """An event, ready for every lane of its route."""

    route: Route
    event: Event
    """As it came."""
    loads: tuple[Load, ...]
    """In the order of the route's legs; legs with the same format share one event."""


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
        others: dict[Form, tuple[Event, int]] = {}
        loads = []
        for leg in route.legs:
            lane = leg.lane
            form = leg.forms[event.id_in_body]
            if form == "original":
                version, taken = event, charge
            else:
                if form in others:
                    version, taken = others[form]
                else:
                    body, content_type = encode(event, form)
                    version = replace(event, body=body, content_type=content_type)
                    others[form] = version, (taken := version.charge)
                if leg.keeps_original:
                    taken += event.charge_beside
            if leg.ordered and event.key is None:
                raise InvalidEvent(
                    Code.INVALID_KEY, f"the event has no key, and sink {lane.name!r} keeps the order of keys", errors=[]
                )
            size = lane.size(version)
            if leg.terms.required and not lane.fits(size):
                own = size - lane.sink.limits.overhead_bytes
                raise TooLarge(
                    Code.EVENT_TOO_LARGE,
                    f"the event has {own} bytes with its key; sink {lane.name!r} takes at most "
                    f"{lane.largest_event}; split it, or send a reference to it",
                    limit=lane.largest_event,
                    actual=own,
                    sink=lane.name,
                )
            loads.append(Load(version, size, taken, lane.partition(version)))
        return Parcel(route, event, tuple(loads))

    def accept(self, parcels: Sequence[Parcel]) -> Receipt:
        """Put every parcel into every lane of its route, or raise having taken nothing.

        Raises Unavailable when draining, Busy when a required lane, or the partition of one, has no room now,
        TooLarge (BATCH_TOO_LARGE) when a required lane would not have room even if it were empty. Never waits.
        """
        if self.draining:
            raise Draining()
        _demand_room(parcels)
        receipt = Receipt([parcel.route.required for parcel in parcels])
        entries: dict[Lane, list[Entry]] = {}
        leftover: list[tuple[Lane, Entry, Reason]] = []
        taken: dict[Lane, int] = {}
        for index, parcel in enumerate(parcels):
            for leg, load in zip(parcel.route.legs, parcel.loads, strict=True):
                lane, terms = leg.lane, leg.terms
                owner = receipt if terms.required else None
                original = parcel.event if leg.keeps_original else load.event
                entry = Entry(load.event, original, load.size, load.charge, terms, lane.name, owner, index)
                entry.partition = load.partition
                if not terms.required and (refusal := _refusal(lane, load, taken.get(lane, 0))) is not None:
                    leftover.append((lane, entry, refusal))
                    continue
                taken[lane] = taken.get(lane, 0) + load.charge
                entries.setdefault(lane, []).append(entry)
        for lane, batch in entries.items():
            lane.put(batch)
        for lane, entry, refusal in leftover:
            lane.turn_away(entry, refusal, "the lane did not take it")
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


def _demand_room(parcels: Sequence[Parcel]) -> None:
    """Raise Busy or TooLarge unless every required lane has room for all of `parcels`."""
    if len(parcels) == 1 and _has_room(parcels[0]):
        return
    lanes: dict[Lane, int] = {}
    partitions: dict[tuple[Lane, int], int] = {}
    for parcel in parcels:
        for leg, load in zip(parcel.route.legs, parcel.loads, strict=True):
            if leg.terms.required:
                lane, place = leg.lane, (leg.lane, load.partition)
                lanes[lane] = lanes.get(lane, 0) + load.charge
                partitions[place] = partitions.get(place, 0) + load.charge
    for lane, charge in lanes.items():
        if charge > lane.capacity:
            raise TooLarge(
                Code.BATCH_TOO_LARGE,
                f"together the events take {charge} bytes of sink {lane.name!r}, which may hold "
                f"{lane.capacity}; send fewer at once",
                limit=lane.capacity,
                actual=charge,
                sink=lane.name,
            )
    full = {lane: f"sink {lane.name!r}" for lane, charge in lanes.items() if not lane.has_room(charge)}
    for (lane, partition), charge in partitions.items():
        if lane not in full and not lane.partition_has_room(partition, charge):
            full[lane] = f"the partition of these keys at sink {lane.name!r}"
    if full:
        raise _busy(full)


def _has_room(parcel: Parcel) -> bool:
    """Whether every required lane has room for one event: what is asked most often, without sums by lane."""
    for leg, load in zip(parcel.route.legs, parcel.loads, strict=True):
        if leg.terms.required:
            lane, charge = leg.lane, load.charge
            if not lane.has_room(charge) or not lane.partition_has_room(load.partition, charge):
                return False
    return True


def _busy(full: Mapping[Lane, str]) -> Busy:
    """The refusal that names what is full, and asks to come back when the slowest should have room."""
    return Busy(f"no room for {', '.join(full.values())} now", max(lane.retry_after() for lane in full))


def _refusal(lane: Lane, load: Load, taken: int) -> Reason | None:
    """Why a best-effort lane cannot take what it is offered, `taken` bytes being promised already."""
    if not lane.fits(load.size):
        return Reason.TOO_LARGE
    if not lane.has_room(taken + load.charge) or not lane.partition_has_room(load.partition, load.charge):
        return Reason.LANE_FULL
    return None


async def _emptied(lanes: Collection[Lane], end: float) -> None:
    """Return when every lane holds nothing, or at loop time `end`."""
    try:
        async with asyncio.timeout_at(end):
            while any(lane.held_events for lane in lanes):  # one may divert what it holds to another
                for lane in lanes:
                    await lane.books.emptied()
    except TimeoutError:
        return
