"""Clients that would together send three times what the four shards take: the capacity is used, and nothing else."""

import asyncio
import statistics
from pathlib import Path

from bench.scenarios.producers import ROUTE, Producers, missing, repeated
from bench.scenarios.report import Report
from bench.scenarios.world import world
from deploy.local.faultproxy.behaviour import Behaviour

SHARDS = 4
PER_SHARD = 1000
SHARED_PER_SHARD = 600
"""What is left of a shard when others write to it too; nobody tells us."""
CLIENTS = 240
EVENTS = 100
LANE_MEMORY = 4 * 2**20
"""Less than the clients have in flight, so that some of them hear `busy`."""
BUDGET = 32 * 2**20
WARM_UP_SECONDS = 2.0
"""In which the shards' unused second of capacity is spent."""
CONFIGURATION = {
    "server": {"memory": BUDGET},
    "sinks": {"orders": {"type": "kinesis", "stream": "orders", "memory": LANE_MEMORY}},
    "routes": {"orders": {**ROUTE, "to": ["orders"]}},
}


async def run(seconds: float, folder: Path) -> Report:
    """Offer three times the capacity for so long."""
    return await _run(seconds, folder, PER_SHARD)


async def run_shared(seconds: float, folder: Path) -> Report:
    """The same where each shard has less for us than its nominal rate."""
    return await _run(seconds, folder, SHARED_PER_SHARD)


async def _run(seconds: float, folder: Path, per_shard: int) -> Report:
    capacity = SHARDS * per_shard
    report = Report(f"{CLIENTS} clients offer 3 x {capacity} events/s to {SHARDS} shards, {seconds:g} s")
    stream = Behaviour(delay=0.02, shards=SHARDS, records_per_second=per_shard, bytes_per_second=1e6)
    async with world(CONFIGURATION, {"orders": stream}, folder) as running:
        producers = Producers(running.session, running.url)
        idle = running.resident_bytes()
        clock = asyncio.get_running_loop().time
        until = clock() + WARM_UP_SECONDS + seconds
        interval = CLIENTS * EVENTS / (3 * capacity)
        load = asyncio.create_task(producers.closed_loop("orders", CLIENTS, EVENTS, until, interval))
        await asyncio.sleep(WARM_UP_SECONDS)
        before, cpu, began = await running.counts("orders"), running.cpu_seconds(), clock()
        await asyncio.sleep(until - clock())
        after, cpu, took = await running.counts("orders"), running.cpu_seconds() - cpu, clock() - began
        await load
        last = await running.counts("orders")
        events = after.records_taken - before.records_taken
        acknowledged, taken = producers.acknowledged["orders"], await running.taken("orders")
        grown = running.resident_bytes(most=True) - idle
        report.at_least("share of the capacity used", events / took / capacity, 0.95)
        report.at_most("acknowledged events that did not arrive", missing(acknowledged, taken), 0, "g")
        report.at_most("taken events that were sent again", last.sent_again, 0, "g")
        report.at_most("events that arrived twice", repeated(acknowledged, taken), 0, "g")
        report.at_most("median attempts per accepted request", statistics.median(producers.attempts), 2)
        report.at_most("memory grown, MiB; 1.5 x `server.memory`", grown / 2**20, 1.5 * BUDGET / 2**20)
        report.tell("requests accepted", str(len(producers.attempts)))
        report.tell("answers by status", str(dict(producers.statuses)))
        report.tell("longest Retry-After, s", f"{producers.longest_wait:g}")
        report.tell("attempts, 90th percentile", str(statistics.quantiles(producers.attempts, n=10)[-1]))
        report.tell("seconds to acceptance, median", f"{statistics.median(producers.seconds):.2f}")
        refused = after.records_refused - before.records_refused
        report.tell("records throttled per record taken", f"{refused / events:.4f}")
        report.tell("events per call", f"{events / (after.calls - before.calls):.1f}")
        report.tell("CPU of the service, share of a core", f"{cpu / took:.2f}")
    return report
