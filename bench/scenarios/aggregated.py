"""Small events aggregated as the KPL does, at a steady rate: many in a record, and little CPU for it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.scenarios.producers import ROUTE, Producers, missing, repeated
from bench.scenarios.report import Report
from bench.scenarios.world import World, world
from deploy.local.faultproxy.behaviour import Behaviour

PER_SECOND = 5000
EVENTS = 20
STREAM = Behaviour(delay=0.02, shards=4, records_per_second=1000, bytes_per_second=1e6)
WARM_UP_SECONDS = 2.0
SINKS: Mapping[str, Mapping[str, Any]] = {
    "memory": {"type": "memory", "capacity": "4GiB"},
    "one event a record": {"type": "kinesis", "stream": "orders", "shard_events_per_second": 0},
    "aggregated": {"type": "kinesis", "stream": "orders", "aggregate": "kpl", "linger": "100ms"},
}
FREE = Behaviour(delay=0.02, shards=4)
"""For one event a record: 5,000/s are more than four shards take."""


async def run(seconds: float, folder: Path) -> Report:
    """The same load to three sinks, a third of the time each."""
    report = Report(f"{PER_SECOND} events/s of 300 B to 4 shards, linger 100 ms, {seconds:g} s")
    costs: dict[str, float] = {}
    for name, sink in SINKS.items():
        configuration = {"sinks": {"orders": sink}, "routes": {"orders": {**ROUTE, "to": ["orders"]}}}
        behaviour = STREAM if name == "aggregated" else FREE
        async with world(configuration, {"orders": behaviour}, folder) as running:
            costs[name] = await _load(running, seconds / len(SINKS), report if name == "aggregated" else None)
    report.at_most("CPU per event: aggregated / in memory", costs["aggregated"] / costs["memory"], 1.3)
    for name, cost in costs.items():
        report.tell(f"CPU of the service per event, µs: {name}", f"{cost * 1e6:.1f}")
    return report


async def _load(running: World, seconds: float, report: Report | None) -> float:
    """Seconds of CPU per event; what was aggregated goes to `report`."""
    producers = Producers(running.session, running.url)
    clock = asyncio.get_running_loop().time
    until = clock() + WARM_UP_SECONDS + seconds
    load = asyncio.create_task(producers.open_loop("orders", PER_SECOND / EVENTS, EVENTS, until, str))
    await asyncio.sleep(WARM_UP_SECONDS)
    before, began = len(producers.attempts), running.cpu_seconds()
    await asyncio.sleep(until - clock())
    cost = (running.cpu_seconds() - began) / ((len(producers.attempts) - before) * EVENTS)
    await load
    if report is not None:
        counts, taken = await running.counts("orders"), await running.taken("orders")
        acknowledged = producers.acknowledged["orders"]
        report.at_least("user records per record", counts.events_taken / counts.records_taken, 20)
        report.at_most("acknowledged events that did not arrive", missing(acknowledged, taken), 0, "g")
        report.at_most("events that arrived twice", repeated(acknowledged, taken), 0, "g")
        report.tell("records throttled", str(counts.records_refused))
        report.tell("records per call", f"{counts.records_taken / counts.calls:.1f}")
        report.tell("answers by status", str(dict(producers.statuses)))
    return cost
