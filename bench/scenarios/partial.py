"""Every third record or so fails inside the service: each acknowledged event arrives once, in few calls."""

import asyncio
from pathlib import Path

from bench.scenarios.producers import ROUTE, Producers, missing, repeated
from bench.scenarios.report import Report
from bench.scenarios.world import world
from deploy.local.faultproxy.behaviour import Behaviour

FAILURES = 0.3
CALL_EVENTS = 500
CLIENTS = 480
EVENTS = 50
STREAM = Behaviour(delay=0.2, servers=4, shards=32, record_failures=FAILURES)
"""Four calls at a time, 0.2 s each: 10,000 records a second are tried, 7,000 of them taken. Shards are plenty."""
FILLING_SECONDS = 3.0
CONFIGURATION = {
    "sinks": {"orders": {"type": "kinesis", "stream": "orders"}},
    "routes": {"orders": {**ROUTE, "to": ["orders"]}},
}


async def run(seconds: float, folder: Path) -> Report:
    """Send as much as is taken for so long."""
    report = Report(f"{FAILURES:.0%} InternalFailure per record, {CLIENTS * EVENTS} events in flight, {seconds:g} s")
    async with world(CONFIGURATION, {"orders": STREAM}, folder) as running:
        producers = Producers(running.session, running.url)
        clock = asyncio.get_running_loop().time
        until = clock() + FILLING_SECONDS + seconds
        load = asyncio.create_task(producers.closed_loop("orders", CLIENTS, EVENTS, until))
        await asyncio.sleep(FILLING_SECONDS)
        before, cpu = await running.counts("orders"), running.cpu_seconds()
        await asyncio.sleep(until - clock())
        after, cpu = await running.counts("orders"), running.cpu_seconds() - cpu
        await load
        last, acknowledged, taken = (
            await running.counts("orders"),
            producers.acknowledged["orders"],
            await running.taken("orders"),
        )
        events, calls = after.events_taken - before.events_taken, after.calls - before.calls
        tried = after.records_taken + after.records_refused - before.records_taken - before.records_refused
        report.at_most("acknowledged events that did not arrive", missing(acknowledged, taken), 0, "g")
        report.at_most("acknowledged events that arrived twice", repeated(acknowledged, taken), 0, "g")
        report.at_most("taken events that were sent again", last.sent_again, 0, "g")
        report.at_most("calls; 1.15 x events / 0.7 / 500", calls, 1.15 * events / (1 - FAILURES) / CALL_EVENTS, ".0f")
        report.tell("events per second", f"{events / seconds:.0f}")
        report.tell("records per call", f"{tried / calls:.0f}")
        report.tell("most calls in flight", str(after.most_in_flight))
        report.tell("answers by status", str(dict(producers.statuses)))
        report.tell("CPU of the service per event, µs", f"{cpu / events * 1e6:.1f}")
    return report
