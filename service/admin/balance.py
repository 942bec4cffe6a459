"""All of the books, as `/status` and the console tell of them: from the edge to the lanes, and within these."""

from collections import defaultdict
from collections.abc import Mapping

from service.admin.moment import Moment
from service.config.settings import RouteConfig
from service.telemetry.conservation import Off, unbalanced


def off(now: Moment, routes: Mapping[str, RouteConfig]) -> list[Off]:
    """Where the books do not balance; empty when all is well."""
    return [*unbalanced(now), *astray(now, routes)]


def astray(now: Moment, routes: Mapping[str, RouteConfig]) -> list[Off]:
    """Where a lane got fewer events, or more, than were taken for it."""
    taken: dict[str, int] = defaultdict(int)
    for (_source, label), count in now.edge_received.items():
        taken[label] += count
    for (_source, label, _code), count in now.edge_rejected.items():
        taken[label] -= count
    # what others divert or bury there comes on top
    also = {lane.fallback for lane in now.lanes.values()}
    also |= {each.dead_letter.sink for each in routes.values() if each.dead_letter}
    found: list[Off] = []
    for name, route in routes.items():
        if route.ack == "stored":
            continue
        for to in route.to:
            received = now.lane_received.get((to.sink, name), 0)
            if to.sink not in also and taken[name] != received:
                found.append(Off(to.sink, name, taken[name] - received))
    return found
