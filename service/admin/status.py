"""`/status`: what an operator asks first. What is stuck, why, since when, what to do; then what each part is like.

`docs/observe.md` shows one; a test compares.
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson
from msgspec import Struct, to_builtins

from service import __version__
from service.admin.balance import off
from service.admin.ends import last_ends
from service.admin.moment import moment
from service.admin.subject import Subject
from service.admin.topology import HTTP
from service.config.settings import RouteConfig
from service.delivery.troubles import rfc3339
from service.telemetry.histogram import Histogram
from service.telemetry.journal import JournalGauges
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import REFUSED, Last
from service.telemetry.snapshot import Snapshot
from service.telemetry.source import SourceGauges

MOST_ENDS: Final = 20
"""Last events that ended badly, of so many different ways."""


class Configuration(Struct, frozen=True):
    """What runs."""

    origin: str | None = None
    """The file; None for the built-in one."""
    digest: str = ""
    """16 hexadecimal digits: the same wherever the same configuration runs, its environment among it."""


def configuration(origin: Path | None, tree: Mapping[str, Any]) -> Configuration:
    """Of a `Config`."""
    text = orjson.dumps(tree, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return Configuration(str(origin) if origin else None, sha256(text).hexdigest()[:16])


class Status:
    """Of what the admin port shows."""

    def __init__(self, subject: Subject, routes: Mapping[str, RouteConfig], configuration: Configuration) -> None:
        self._subject = subject
        self._routes = routes
        self._configuration = configuration
        self._started_at = time.time()

    async def shown(self) -> dict[str, Any]:
        """All of it, as plain values."""
        found = await self._subject.snapshot()
        workers = self._subject.workers()
        astray = off(moment(found, time.monotonic(), time.time()), self._routes)
        return {
            "version": __version__,
            "phase": found.phase,
            "started": rfc3339(self._started_at),
            "uptime_seconds": round(time.time() - self._started_at, 1),
            "configuration": to_builtins(self._configuration),
            "troubles": found.troubles,
            "conservation": {"balanced": not astray, "off": [to_builtins(each) for each in astray]},
            "loop": {
                "worst_lag_seconds": round(found.loop.worst_seconds, 3),
                "stuck_since": rfc3339(found.loop.stuck_since) if found.loop.stuck_since is not None else None,
            },
            **({"workers": workers} if workers else {}),
            "http": {"requests_open": found.meter.requests_open, **_edge(HTTP, found)},
            **({"journal": _journal(found.journal)} if found.journal is not None else {}),
            **({"sources": {each.source: _source(each, found) for each in found.sources}} if found.sources else {}),
            "lanes": {lane.sink: _lane(lane, found) for lane in found.lanes},
            "routes": {name: _route(route) for name, route in self._routes.items()},
            "last": _ends(found.meter.last),
        }


def _ends(last: Mapping[tuple[str, str, str, str], Last]) -> list[dict[str, Any]]:
    """The last event of each bad end, the latest first; words only where they are not about what is in an event."""
    return [
        {
            "at": rfc3339(end.at),
            "source" if end.outcome == REFUSED else "sink": end.where,
            "route": end.route,
            "outcome": end.outcome,
            "reason": end.reason,
            "id": end.id,
            **({"detail": end.detail} if end.detail is not None else {}),
        }
        for end in last_ends(last, False, MOST_ENDS)
    ]


def _lane(lane: LaneGauges, found: Snapshot) -> dict[str, Any]:
    settled: dict[str, int] = defaultdict(int)
    for (sink, _route, fate, _reason), count in found.meter.lane_settled.items():
        if sink == lane.sink:
            settled[fate] += count
    return {
        "state": lane.standing.state.value,
        "breaker": lane.breaker,
        "fallback": lane.fallback,
        "failed_calls_in_a_row": lane.failures,
        "last_failure": lane.last_failure,
        "received": sum(count for (sink, _), count in found.meter.lane_received.items() if sink == lane.sink),
        "settled": dict(settled),
        "retried": sum(count for (sink, _), count in found.meter.lane_retries.items() if sink == lane.sink),
        "held_events": lane.held_events,
        "held_bytes": lane.held_bytes,
        "capacity_bytes": lane.capacity_bytes,
        "calls_in_flight": lane.calls_in_flight,
        "calls_limit": lane.calls_limit,
        "request_bytes": lane.request_bytes,
        "request_capacity_bytes": lane.request_capacity_bytes,
        "base_seconds": round(lane.base_seconds, 4),
        "oldest_seconds": round(lane.oldest_seconds, 3),
        "last_minute": _times(found.recent.get(lane.sink)),
        "billed": found.bills.get(lane.sink, {}),
    }


def _times(recent: Histogram | None) -> dict[str, Any]:
    """Events delivered, and how long it took, a quarter too much at most; None where none was."""
    return {
        "delivered": recent.count if recent is not None else 0,
        "p50_seconds": recent.quantile(0.5) if recent is not None else None,
        "p99_seconds": recent.quantile(0.99) if recent is not None else None,
    }


def _source(source: SourceGauges, found: Snapshot) -> dict[str, Any]:
    shown: dict[str, Any] = to_builtins(source)
    del shown["source"]
    return shown | _edge(source.source, found)


def _edge(source: str, found: Snapshot) -> dict[str, int]:
    return {
        "received": sum(count for (name, _), count in found.meter.edge_received.items() if name == source),
        "refused": sum(count for (name, *_), count in found.meter.edge_rejected.items() if name == source),
    }


def _journal(journal: JournalGauges) -> dict[str, Any]:
    return {
        "trouble": journal.trouble,
        "used_bytes": journal.used_bytes,
        "max_bytes": journal.max_bytes,
        "free_bytes": journal.free_bytes,
        "queued_bytes": journal.queued_bytes,
        "oldest_seconds": round(journal.oldest_seconds, 3),
        "waiting": [
            {"sink": sink, "route": route, "events": count} for (sink, route), count in journal.waiting.items()
        ],
    }


def _route(route: RouteConfig) -> dict[str, Any]:
    return {
        "types": list(route.types),
        "ack": route.ack,
        "to": [{"sink": to.sink, "required": to.required} for to in route.to],
        "dead_letter": route.dead_letter.sink if route.dead_letter else None,
    }
