"""Whether the books balance: every event that was received is settled or held, and every event taken came to its lanes.

`docs/metrics.md` has the equations.
"""

from collections import defaultdict
from collections.abc import Mapping

from msgspec import Struct

from service.config.settings import RouteConfig
from service.telemetry.snapshot import Snapshot


class Off(Struct):
    """Where they do not: so many events are missing, or too many if it is below 0."""

    route: str
    sink: str | None
    """None for what a route stores."""
    events: int


def unbalanced(found: Snapshot, routes: Mapping[str, RouteConfig]) -> list[Off]:
    """What is off in one snapshot; nothing, unless there is a defect."""
    lanes: dict[tuple[str, str], int] = defaultdict(int, found.meter.lane_received)
    for (sink, route, _fate, _reason), count in found.meter.lane_settled.items():
        lanes[sink, route] -= count
    for key, count in found.meter.lane_held.items():
        lanes[key] -= count
    off = [Off(route, sink, count) for (sink, route), count in lanes.items() if count]
    return off + _at_the_edge(found, routes)


def _at_the_edge(found: Snapshot, routes: Mapping[str, RouteConfig]) -> list[Off]:
    meter = found.meter
    taken: dict[str, int] = defaultdict(int)
    for (_source, label), count in meter.edge_received.items():
        taken[label] += count
    for (_source, label, _code), count in meter.edge_rejected.items():
        taken[label] -= count
    # what others divert or bury there comes on top
    also = {lane.fallback for lane in found.lanes}
    also |= {each.dead_letter.sink for each in routes.values() if each.dead_letter}
    off: list[Off] = []
    for name, route in routes.items():
        if route.ack == "stored":
            stored = meter.journal_stored[name] + meter.journal_failed[name] + meter.journal_queued[name]
            if taken[name] != stored:
                off.append(Off(name, None, taken[name] - stored))
            continue
        for to in route.to:
            received = meter.lane_received[to.sink, name]
            if to.sink not in also and taken[name] != received:
                off.append(Off(name, to.sink, taken[name] - received))
    return off
