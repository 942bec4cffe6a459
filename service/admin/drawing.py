"""Draws the picture of the service from its last seconds' moments. Pure functions.

Rates are per second, over the last RATE_SECONDS; percentiles and shares over the last SHARE_SECONDS.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from service.admin.balance import off
from service.admin.ends import last_ends
from service.admin.interval import Interval, Tries, Window
from service.admin.moment import Moment
from service.admin.picture import Inflow, Journal, Lane, Outflow, Picture, Route, Source, Total, Waiting
from service.admin.rates import Rates
from service.admin.topology import Destination, Kind, Origin, Topology, Way
from service.config.settings import RouteConfig
from service.receipt import Fate
from service.telemetry.lane import LaneGauges

RATE_SECONDS: Final = 3.0
SHARE_SECONDS: Final = 10.0


def draw(
    window: Window,
    topology: Topology,
    routes: Mapping[str, RouteConfig],
    *,
    details: bool,
    workers: list[dict[str, Any]],
) -> Picture:
    """The service at the newest moment of the window. `routes`: what the books are held to. `details`:
    words that quote events are shown."""
    rates = Rates(window.last(RATE_SECONDS))
    now = window.moments[-1]
    lanes = _lanes(window, topology, rates)
    return Picture(
        at=now.clock,
        phase=now.phase,
        total=_total(rates, lanes),
        sources=[_source(each, now, rates) for each in topology.sources],
        inflows=[
            Inflow(
                each.name, route, rates.of(rates.received, each.name, route), rates.of(rates.refused, each.name, route)
            )
            for each in topology.sources
            for route in each.routes
        ],
        routes=[
            Route(
                each.name, each.ack, rates.of(rates.received, None, each.name), rates.of(rates.refused, None, each.name)
            )
            for each in topology.routes
        ],
        outflows=[_outflow(route.name, way, rates) for route in topology.routes for way in route.ways],
        lanes=lanes,
        journal=_journal(now, rates),
        off=off(now, routes),
        last=last_ends(now.last, details),
        troubles=now.troubles,
        workers=workers,
    )


def _lanes(window: Window, topology: Topology, rates: Rates) -> list[Lane]:
    """Those of the configuration in its order, then any other."""
    now = window.moments[-1]
    shares = window.last(SHARE_SECONDS)
    tries = shares.tries()
    sites = {site.name: site for site in topology.destinations}
    names = [name for name in sites if name in now.lanes] + [name for name in now.lanes if name not in sites]
    return [
        _lane(sites.get(name, Destination(name, "", "")), now.lanes[name], rates, shares, tries[name]) for name in names
    ]


def _total(rates: Rates, lanes: Sequence[Lane]) -> Total:
    return Total(
        received=rates.of(rates.received),
        refused=rates.of(rates.refused),
        delivered=round(sum(lane.delivered for lane in lanes), 2),
        retried=round(sum(lane.retried for lane in lanes), 2),
        dead_lettered=round(sum(lane.dead_lettered for lane in lanes), 2),
        held_events=sum(lane.held_events for lane in lanes),
    )


def _outflow(route: str, way: Way, rates: Rates) -> Outflow:
    dead = 0.0 if way.kind is Kind.DEAD_LETTER else rates.settled(way.sink, Fate.DEAD_LETTERED, route=route)
    return Outflow(route, way.sink, way.kind.value, rates.of(rates.put, way.sink, route), dead)


def _source(origin: Origin, now: Moment, rates: Rates) -> Source:
    gauges = now.sources.get(origin.name)
    return Source(
        name=origin.name,
        type=origin.type,
        received=rates.of(rates.received, origin.name),
        refused=rates.of(rates.refused, origin.name),
        trouble=gauges.trouble if gauges else None,
        lag=gauges.lag if gauges else None,
        waiting=gauges.waiting_messages if gauges else 0,
        unsettled=gauges.unsettled_messages if gauges else 0,
    )


def _journal(now: Moment, rates: Rates) -> Journal | None:
    gauges = now.journal
    if gauges is None:
        return None
    waiting = [Waiting(sink, route, events) for (sink, route), events in sorted(gauges.waiting.items()) if events]
    return Journal(
        stored=rates.stored,
        used_bytes=gauges.used_bytes,
        max_bytes=gauges.max_bytes,
        free_bytes=gauges.free_bytes,
        oldest_seconds=round(gauges.oldest_seconds, 3),
        waiting=waiting,
        trouble=gauges.trouble,
    )


def _lane(site: Destination, gauges: LaneGauges, rates: Rates, shares: Interval, tries: Tries) -> Lane:
    seconds = shares.delivery_seconds(site.name)
    return Lane(
        name=site.name,
        type=site.type,
        target=site.target,
        state=gauges.standing.state.value,
        since=gauges.standing.since,
        reasons=gauges.standing.words,
        breaker=gauges.breaker,
        fallback=gauges.fallback,
        received=rates.of(rates.put, site.name),
        delivered=rates.settled(site.name, Fate.DELIVERED),
        dead_lettered=rates.settled(site.name, Fate.DEAD_LETTERED),
        given_up=rates.settled(site.name, Fate.REJECTED, Fate.EXPIRED, Fate.DROPPED),
        retried=rates.of(rates.retried, site.name),
        success=round(tries.delivered / tries.count, 4) if tries.count else None,
        p50_seconds=seconds.quantile(0.5) if seconds else None,
        p99_seconds=seconds.quantile(0.99) if seconds else None,
        held_events=gauges.held_events,
        held_bytes=gauges.held_bytes,
        capacity_bytes=gauges.capacity_bytes,
        oldest_seconds=round(gauges.oldest_seconds, 3),
        calls=gauges.calls_in_flight,
        calls_limit=gauges.calls_limit,
        billed=rates.billed(site.name),
    )
