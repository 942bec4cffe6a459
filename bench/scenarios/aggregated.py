"""Small events aggregated as the KPL does, at a steady rate: many in a record, and little CPU for it."""

import asyncio
import statistics
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.scenarios.producers import ROUTE, Producers, missing, repeated
from bench.scenarios.report import Report
from bench.scenarios.world import World, world
from deploy.local.faultproxy.behaviour import Behaviour

PER_SECOND = 5000
EVENTS = 20
STREAM = Behaviour(delay=0.02, shards=4, records_per_second=1000, bytes_per_second=1e6)
SINKS: Mapping[str, Mapping[str, Any]] = {
    "memory": {"type": "memory", "capacity": "4GiB"},
    "one event a record": {"type": "kinesis", "stream": "orders", "shard_events_per_second": 0},
    "aggregated": {"type": "kinesis", "stream": "orders", "aggregate": "kpl", "linger": "100ms"},
}
FREE = Behaviour(delay=0.02, shards=4)
"""For one event a record: 5,000/s are more than four shards take."""
SLICE_SECONDS = 2.5


async def run(seconds: float, folder: Path) -> Report:
    """The same load to three services in turns, so that each has its share of a noisy machine's moods."""
    report = Report(f"{PER_SECOND} events/s of 300 B to 4 shards, linger 100 ms, {seconds:g} s")
    costs: dict[str, list[float]] = {name: [] for name in SINKS}
    async with AsyncExitStack() as stack:
        senders = {}
        for name, sink in SINKS.items():
            (own := folder / name.replace(" ", "_")).mkdir()
            configuration = {"sinks": {"orders": sink}, "routes": {"orders": {**ROUTE, "to": ["orders"]}}}
            behaviour = STREAM if name == "aggregated" else FREE
            running = await stack.enter_async_context(world(configuration, {"orders": behaviour}, own))
            senders[name] = running, Producers(running.session, running.url)
        for turn in range(1 + max(1, round(seconds / SLICE_SECONDS / len(SINKS)))):
            for name, (running, producers) in senders.items():
                cost = await _cost(running, producers)
                if turn:  # the first one warms up
                    costs[name].append(cost)
        await _records(report, *senders["aggregated"])
    medians = {name: statistics.median(found) for name, found in costs.items()}
    report.at_most("CPU per event: aggregated / in memory", medians["aggregated"] / medians["memory"], 1.3)
    for name, cost in medians.items():
        report.tell(f"CPU of the service per event, µs: {name}", f"{cost * 1e6:.1f}")
    return report


async def _cost(running: World, producers: Producers) -> float:
    """Seconds of CPU per event in one slice."""
    until = asyncio.get_running_loop().time() + SLICE_SECONDS
    before, began = len(producers.attempts), running.cpu_seconds()
    await producers.open_loop("orders", PER_SECOND / EVENTS, EVENTS, until, str)
    return (running.cpu_seconds() - began) / ((len(producers.attempts) - before) * EVENTS)


async def _records(report: Report, running: World, producers: Producers) -> None:
    counts, taken = await running.counts("orders"), await running.taken("orders")
    acknowledged = producers.acknowledged["orders"]
    report.at_least("user records per record", counts.events_taken / counts.records_taken, 20)
    report.at_most("acknowledged events that did not arrive", missing(acknowledged, taken), 0, "g")
    report.at_most("events that arrived twice", repeated(acknowledged, taken), 0, "g")
    report.tell("records throttled", str(counts.records_refused))
    report.tell("records per call", f"{counts.records_taken / counts.calls:.1f}")
    report.tell("answers by status", str(dict(producers.statuses)))
