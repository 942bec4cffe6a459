"""Whether the books balance: every event that was received is settled or held, exactly once."""

from collections import defaultdict

from msgspec import Struct

from service.admin.moment import Moment


class Off(Struct):
    """Books that do not balance."""

    where: str
    route: str
    events: int
    """Received, less those that are settled or held."""


def unbalanced(now: Moment) -> list[Off]:
    """Where events were received that are neither settled nor held; or, of a route that stores, neither refused nor
    stored."""
    lanes: dict[tuple[str, str], int] = defaultdict(int, now.lane_received)
    for (sink, route, _fate, _reason), count in now.lane_settled.items():
        lanes[sink, route] -= count
    for key, count in now.lane_held.items():
        lanes[key] -= count
    stored = {route: -count for route, count in now.journal_taken.items()}
    for (_source, route), count in now.edge_received.items():
        if route in stored:
            stored[route] += count
    for (_source, route, _code), count in now.edge_rejected.items():
        if route in stored:
            stored[route] -= count
    found = [Off(sink, route, events) for (sink, route), events in sorted(lanes.items()) if events]
    return found + [Off("journal", route, events) for route, events in sorted(stored.items()) if events]
