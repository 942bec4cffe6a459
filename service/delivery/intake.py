"""The intake: the events of one request or poll on their way into the lanes of their routes, which nobody owns yet."""

from msgspec.structs import replace

from service.codecs.formats import Form, encode
from service.delivery.entry import Entry, Settles
from service.delivery.lane import Lane
from service.delivery.route import Kept, Leg, Route
from service.errors import Code, InvalidEvent, TooLarge
from service.event import Event
from service.receipt import Receipt


class Intake:
    """Collects events; `Pipeline.accept` hands all of them to their lanes, or none."""

    __slots__ = ("charge", "kept", "lanes", "optional", "owner", "receipt", "routes")

    def __init__(self, owner: Settles | None = None) -> None:
        """`owner` hears of every event's end, by the index that `add` was given; without, the receipt does."""
        self.routes: list[Route] = []
        """The route of each event: its index is the event's in the receipt."""
        self.lanes: dict[Lane, list[Entry]] = {}
        """What each lane is to get."""
        self.kept: dict[Route, list[Kept]] = {}
        """What is to be stored first."""
        self.receipt = Receipt()
        """What whoever waits for all of it awaits; says nothing where there is another owner."""
        self.owner = owner if owner is not None else self.receipt
        self.charge = 0
        """Bytes of memory that the events take, in one lane each."""
        self.optional = False
        """Whether a lane may refuse some of it."""

    def add(self, route: Route, event: Event, index: int | None = None) -> int:
        """Shape `event` for the lanes of `route`. Returns its index: the next one, or the one given by who has an owner
        of its own, which several events may share.

        Raises TooLarge (EVENT_TOO_LARGE, with `limit`, `actual`, `sink`) if a required sink could never take it;
        InvalidEvent (INVALID_KEY) if it has no key, and a sink keeps the order of keys. Then nothing is added.
        """
        given, lanes = index, self.lanes
        index = len(self.routes) if given is None else given
        entries = shaped(route, event, self.owner, index)
        if route.keeper is not None:
            self.kept.setdefault(route, []).append(Kept(event, entries, index))
        else:
            for lane, entry in entries:
                if lane in lanes:
                    lanes[lane].append(entry)
                else:
                    lanes[lane] = [entry]
            if len(route.required) < len(route.legs):
                self.optional = True
        self.charge += entries[0][1].charge
        self.routes.append(route)
        if given is None:
            self.receipt.expect(route.required)
        return index

    @property
    def expected(self) -> int:
        """How many settlements its owner will hear of."""
        lanes = sum(entry.terms.required for entries in self.lanes.values() for entry in entries)
        return lanes + sum(map(len, self.kept.values()))

    def split(self) -> dict[int, "Intake"]:
        """The same apart, by the index that events were added with."""
        parts: dict[int, Intake] = {}

        def part(index: int) -> Intake:
            found = parts.get(index)
            if found is None:
                found = parts[index] = Intake(self.owner)
                found.optional = self.optional
            return found

        routes = {route.name: route for route in self.routes}

        for lane, entries in self.lanes.items():
            for entry in entries:
                own = part(entry.index)
                own.lanes.setdefault(lane, []).append(entry)
                own.charge += entry.charge
                route = routes[entry.terms.route]
                if route.legs[0].lane is lane:
                    own.routes.append(route)
        for route, kept in self.kept.items():
            for each in kept:
                own = part(each.index)
                own.routes.append(route)
                own.kept.setdefault(route, []).append(each)
                own.charge += each.event.charge
        return parts


def shaped(route: Route, event: Event, owner: Settles, index: int) -> list[tuple[Lane, Entry]]:
    """An entry for each leg of `route`; legs with the same format share one event. `owner` hears of those that are
    required, by `index`.

    Raises what `Intake.add` raises.
    """
    charge = event.charge
    key = len(event.key.encode()) if event.key else 0
    others: dict[Form, tuple[Event, int]] | None = None
    entries: list[tuple[Lane, Entry]] = []
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
                Code.INVALID_KEY, f"the event has no key, and sink {leg.name!r} keeps the order of keys", errors=()
            )
        terms = leg.terms
        size = len(version.body) + key + leg.overhead_bytes
        if size > leg.largest and terms.required:
            raise _too_large(leg, size)
        original = event if leg.keeps_original else version
        partition = leg.lane.partition(version) if leg.partitioned else 0
        hears = owner if terms.required else None
        entry = Entry(version, original, size, taken, terms, leg.name, hears, index, partition)
        entries.append((leg.lane, entry))
    return entries


def _too_large(leg: Leg, size: int) -> TooLarge:
    lane, own = leg.lane, size - leg.overhead_bytes
    return TooLarge(
        Code.EVENT_TOO_LARGE,
        f"the event has {own} bytes with its key; sink {lane.name!r} takes at most "
        f"{lane.largest_event}; split it, or send a reference to it",
        limit=lane.largest_event,
        actual=own,
        sink=lane.name,
    )
