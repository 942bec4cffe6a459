"""Snapshots of a process that has counted something everywhere, for what is told of them."""

import random

from service.telemetry.journal import JournalGauges
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import LaneTimes, Meter
from service.telemetry.snapshot import Snapshot
from service.telemetry.source import SourceGauges

MOMENT = 1_764_000_000.7
"""When it is looked at, in Unix seconds."""
SINKS = ("lake", "stream")
ROUTES = ("orders", "")
FATES = ("delivered", "rejected", "expired", "dead_lettered", "diverted", "dropped")


def gauges(sink: str) -> LaneGauges:
    """A lane that is a quarter full."""
    return LaneGauges(sink, 25, 100, 1, 4, 50, 500, 0.02, 1.5, "closed")


def empty() -> Snapshot:
    """A process that has just started."""
    return Snapshot(
        "serving",
        Meter(tls_expiry={"server": MOMENT + 3600}),
        [gauges(sink) for sink in SINKS],
        {"stream": {"kinesis_records": 0, "kinesis_user_records": 0, "kinesis_put_payload_units": 0}},
        [],
        JournalGauges(10, 100, 1000, 0, 7.0, {}, None),
        [SourceGauges("msk", lag=9)],
    )


def work(snapshot: Snapshot, rng: random.Random, events: int) -> None:
    """Let so many events pass, of which each lane settles some; the books stay balanced."""
    meter = snapshot.meter
    for _ in range(events):
        route = rng.choice(ROUTES)
        meter.edge_received["http", route] += 1
        if rng.random() < 0.2:
            meter.edge_rejected["http", route, rng.choice(("busy", "draining", "schema_violation"))] += 1
            continue
        meter.observe_request("orders", rng.choice((200, 503)), rng.expovariate(20))
        for sink in SINKS:
            meter.lane_received[sink, "orders"] += 1
            meter.lane_held[sink, "orders"] += 1
    for sink in SINKS:
        settle(snapshot, sink, rng)
    if rng.random() < 0.3:
        meter.cloudwatch_dropped += rng.randrange(5)
        meter.auth_refresh_failures[rng.choice(("keys", "jwt"))] += 1


def settle(snapshot: Snapshot, sink: str, rng: random.Random) -> None:
    """Let one lane be done with some of what it holds."""
    meter = snapshot.meter
    times = meter.lanes.setdefault(sink, LaneTimes())
    for _ in range(rng.randint(0, meter.lane_held[sink, "orders"])):
        fate = rng.choice(FATES)
        meter.lane_held[sink, "orders"] -= 1
        meter.lane_settled[sink, "orders", fate, "" if fate == "delivered" else "throttled"] += 1
        meter.lane_retries[sink, rng.choice(("throttled", "unavailable"))] += 1
        times.call_events.observe(rng.randint(1, 20_000))
        times.call_seconds.observe(rng.expovariate(5))
        times.buffering_seconds.observe(rng.expovariate(5))
        times.delivery_seconds.observe(rng.expovariate(1 / 60))
        times.event_retries.observe(rng.randint(0, 60))
        times.delivered_bytes += rng.randint(1, 1000)
        if sink == "stream":
            snapshot.bills["stream"]["kinesis_records"] += 1
            snapshot.bills["stream"]["kinesis_user_records"] += 10


def everywhere() -> Snapshot:
    """One that has counted something of everything."""
    snapshot, rng = empty(), random.Random(7)
    while len(snapshot.meter.lane_settled) < len(FATES) * len(SINKS) or not snapshot.meter.cloudwatch_dropped:
        work(snapshot, rng, 50)
    return snapshot
