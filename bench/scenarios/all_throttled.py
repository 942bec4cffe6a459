"""Everything is throttled: the service waits without working, and asks seldom."""

import asyncio
from pathlib import Path

from bench.scenarios.producers import ROUTE, Producers
from bench.scenarios.report import Report
from bench.scenarios.world import world
from deploy.local.faultproxy.behaviour import Behaviour

CLIENTS = 20
EVENTS = 100
FILLING_SECONDS = 2.0
CONFIGURATION = {
    "sinks": {"orders": {"type": "kinesis", "stream": "orders"}},
    "routes": {"orders": {**ROUTE, "to": ["orders"]}},
}
THROTTLED = Behaviour(delay=0.02, shards=4, record_failures=1.0, record_code="ProvisionedThroughputExceededException")


async def run(seconds: float, folder: Path) -> Report:
    """Fill the lane, then watch for so long."""
    report = Report(f"100 % of the records throttled, {CLIENTS * EVENTS} events waiting, {seconds:g} s")
    async with world(CONFIGURATION, {"orders": THROTTLED}, folder) as running:
        producers = Producers(running.session, running.url)
        clock = asyncio.get_running_loop().time
        until = clock() + FILLING_SECONDS + seconds
        load = asyncio.create_task(producers.closed_loop("orders", CLIENTS, EVENTS, until))
        await asyncio.sleep(FILLING_SECONDS)
        before, cpu, began = await running.counts("orders"), running.cpu_seconds(), clock()
        await asyncio.sleep(until - clock())
        after, cpu, took = await running.counts("orders"), running.cpu_seconds() - cpu, clock() - began
        held = (await running.status("orders"))["held_events"]
        await running.behave("orders", Behaviour(delay=0.02, shards=4))
        await load
        acknowledged = sum(map(sum, producers.acknowledged.values()))
        report.at_most("CPU of the service, share of a core", cpu / took, 0.05)
        report.at_most("calls per second", (after.calls - before.calls) / took, 20)
        report.at_most("records taken meanwhile", after.records_taken, 0, "g")
        report.tell("events held at the end", str(held))
        report.tell("answers by status", str(dict(producers.statuses)))
        report.tell("events delivered once it takes again", str(acknowledged))
        report.tell("other calls (shards, summary)", str(after.other_calls - before.other_calls))
    return report
