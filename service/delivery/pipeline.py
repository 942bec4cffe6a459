"""The pipeline: takes events on behalf of every lane of their routes at once, or not at all."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from service.codecs.formats import encode, resolve
from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Entry
from service.delivery.lane import Lane
from service.delivery.route import Leg, Route, Router
from service.errors import Busy, Code, TooLarge, Unavailable
from service.event import Event
from service.outcome import Reason
from service.receipt import Receipt

DRAINING_RETRY_SECONDS = 2.0
"""What a producer is told to wait when this replica is going away: a moment, for another takes over."""


class Parcel(Struct, gc=False):
    """An event, ready for every lane of its route."""

    route: Route
    event: Event
    """As it came."""
    shaped: tuple[Event, ...]
    """As each leg of the route sends it; legs with the same format share one."""


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

        Raises TooLarge (EVENT_TOO_LARGE, with `limit`, `actual`, `sink`) if a required sink could never take it.
        """
        formats: dict[str, Event] = {"original": event}
        shaped = []
        for leg in route.legs:
            form = resolve(leg.format, leg.lane.sink.carries_attributes, event.id_in_body)
            version = formats.get(form)
            if version is None:
                body, content_type = encode(event, form)
                version = formats[form] = replace(event, body=body, content_type=content_type)
            lane = leg.lane
            if leg.terms.required and not lane.fits(size := lane.size(version)):
                raise TooLarge(
                    Code.EVENT_TOO_LARGE,
                    f"the event takes {size} bytes at sink {lane.name!r}, which takes at most "
                    f"{lane.largest_event}; split it, or send a reference to it",
                    limit=lane.largest_event,
                    actual=size,
                    sink=lane.name,
                )
            shaped.append(version)
        return Parcel(route, event, tuple(shaped))

    def accept(self, parcels: Sequence[Parcel]) -> Receipt:
        """Put every parcel into every lane of its route, or raise having taken nothing.

        Raises Unavailable when draining, Busy when a required lane has no room now, TooLarge (BATCH_TOO_LARGE)
        when a required lane would not have room even if it were empty. Never waits.
        """
        if self.draining:
            raise Unavailable(Code.DRAINING, "this replica is shutting down", DRAINING_RETRY_SECONDS)
        self._check_room(parcels)
        receipt = Receipt([_required(parcel.route) for parcel in parcels])
        entries: dict[Lane, list[Entry]] = {}
        leftover: list[tuple[Leg, Entry, Reason]] = []
        room: dict[Lane, int] = {}
        for index, parcel in enumerate(parcels):
            for leg, version in zip(parcel.route.legs, parcel.shaped, strict=True):
                lane, terms = leg.lane, leg.terms
                charge = version.charge
                owner = receipt if terms.required else None
                entry = Entry(version, parcel.event, lane.size(version), charge, terms, owner, index)
                if not terms.required:
                    taken = room.get(lane, 0) + charge
                    if not lane.fits(entry.size):
                        leftover.append((leg, entry, Reason.TOO_LARGE))
                        continue
                    if not lane.has_room(taken):
                        leftover.append((leg, entry, Reason.LANE_FULL))
                        continue
                room[lane] = room.get(lane, 0) + charge
                entries.setdefault(lane, []).append(entry)
        for lane, batch in entries.items():
            lane.put(batch)
        for leg, entry, reason in leftover:
            leg.lane.turn_away(entry, reason, "the lane did not take it")
        return receipt

    def _check_room(self, parcels: Sequence[Parcel]) -> None:
        needed: dict[Lane, int] = {}
        for parcel in parcels:
            for leg, version in zip(parcel.route.legs, parcel.shaped, strict=True):
                if leg.terms.required:
                    needed[leg.lane] = needed.get(leg.lane, 0) + version.charge
        for lane, charge in needed.items():
            if charge > lane.capacity:
                raise TooLarge(
                    Code.BATCH_TOO_LARGE,
                    f"together the events take {charge} bytes of sink {lane.name!r}, which may hold "
                    f"{lane.capacity}; send fewer at once",
                    limit=lane.capacity,
                    actual=charge,
                    sink=lane.name,
                )
        full = [lane for lane, charge in needed.items() if not lane.has_room(charge)]
        if full:
            names = ", ".join(repr(lane.name) for lane in full)
            raise Busy(f"no room for sink {names} now", max(lane.retry_after() for lane in full))

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
            lane.end_burials()
        return clean


async def _emptied(lanes: Iterable[Lane], end: float) -> None:
    """Return when every lane holds nothing, or at loop time `end`."""
    try:
        async with asyncio.timeout_at(end):
            for lane in lanes:
                await lane.emptied()
    except TimeoutError:
        return


def _required(route: Route) -> tuple[str, ...]:
    return tuple(leg.lane.name for leg in route.legs if leg.terms.required)
