"""A destination of 32 parallel servers becomes forty times slower, and fast again: the calls in flight follow.

Measured with a sink of the bench's own (`plain_queue`) that puts one message into a call: 32 servers that answer in
50 ms take 640 calls a second, and so 640 events. Of the SQS sink, which puts ten into one, it would be ten times as
many events that had to come and be read; what it reaches of the calls, and at what CPU, is told beside.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.scenarios.producers import ROUTE, Producers, missing
from bench.scenarios.report import Report
from bench.scenarios.world import World, world
from deploy.local.faultproxy.behaviour import Behaviour

SERVERS = 32
FAST_SECONDS = 0.05
SLOW_SECONDS = 2.0
ROUND_TRIPS = 10
"""In which the calls in flight may still be too many."""
SHARES = {"fast": 1 / 6, "slow": 2 / 3, "fast again": 1 / 6}
CLIENTS = 16
EVENTS = 10
"""160 in flight: five times what is served at once, so that there is always one more to send."""
PLAIN = {"type": "bench.scenarios.plain_queue:PlainQueue", "url": "${AWS_ENDPOINT_URL}", "queue": "work"}
SQS = {"type": "sqs", "queue": "work"}
SQS_CLIENTS = CLIENTS * 10
"""As many calls in flight with ten messages each, which is what the SQS sink puts into one."""
SQS_SECONDS = 10.0


def _configuration(sink: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"sinks": {"work": {**sink, "concurrency": 256}}, "routes": {"work": {**ROUTE, "to": ["work"]}}}


def _queue(delay: float) -> Behaviour:
    return Behaviour(servers=SERVERS, delay=delay)


async def run(seconds: float, folder: Path) -> Report:
    """Three phases in so long; in less than 45 s the slow one is less slow, to last for 20 round trips still."""
    slow = min(SLOW_SECONDS, seconds * SHARES["slow"] / (2 * ROUND_TRIPS))
    report = Report(f"{SERVERS} servers answer in {FAST_SECONDS:g} s, {slow:g} s, {FAST_SECONDS:g} s; {seconds:g} s")
    async with world(_configuration(PLAIN), {"work": _queue(FAST_SECONDS)}, folder) as running:
        producers = Producers(running.session, running.url)
        until = asyncio.get_running_loop().time() + seconds
        load = asyncio.create_task(producers.closed_loop("work", CLIENTS, EVENTS, until))
        for phase, share in SHARES.items():
            delay = slow if phase == "slow" else FAST_SECONDS
            await running.behave("work", _queue(delay))
            await _watch(running, report, phase, delay, seconds * share)
        await load
        acknowledged, taken = producers.acknowledged["work"], await running.taken("work")
        report.at_most("acknowledged events that did not arrive", missing(acknowledged, taken), 0, "g")
        report.tell("answers by status", str(dict(producers.statuses)))
    await _sqs(folder, report)
    return report


async def _sqs(folder: Path, report: Report) -> None:
    """Tell what the SQS sink reaches of the fast destination."""
    async with world(_configuration(SQS), {"work": _queue(FAST_SECONDS)}, folder) as running:
        producers = Producers(running.session, running.url)
        clock = asyncio.get_running_loop().time
        until = clock() + 2 * SQS_SECONDS
        load = asyncio.create_task(producers.closed_loop("work", SQS_CLIENTS, EVENTS, until))
        await asyncio.sleep(SQS_SECONDS)
        first, began = await running.counts("work"), clock()
        cpu, others = running.cpu_seconds(), running.others_cpu_seconds()
        await asyncio.sleep(until - clock())
        last, took = await running.counts("work"), clock() - began
        cpu, others = running.cpu_seconds() - cpu, running.others_cpu_seconds() - others
        await load
    used = (last.occupied_seconds - first.occupied_seconds) / took / SERVERS
    report.tell("SQS sink, fast: share of the capacity used", f"{used:.3f}")
    report.tell("SQS sink, fast: calls per second", f"{(last.calls - first.calls) / took:.0f}")
    report.tell("SQS sink, fast: CPU of the service, cores", f"{cpu / took:.2f}")
    report.tell("SQS sink, fast: CPU of other processes, cores", f"{others / took:.2f}")


async def _watch(running: World, report: Report, phase: str, delay: float, seconds: float) -> None:
    """Report one phase: from its tenth round trip on, and as a whole."""
    clock = asyncio.get_running_loop().time
    first, began = await running.counts("work"), clock()
    cpu, others = running.cpu_seconds(), running.others_cpu_seconds()
    await asyncio.sleep(ROUND_TRIPS * delay)
    settled, settled_at = await running.counts("work"), clock()
    await asyncio.sleep(began + seconds - clock())
    last, ended = await running.counts("work"), clock()
    used = (last.occupied_seconds - settled.occupied_seconds) / (ended - settled_at) / SERVERS
    whole = (last.occupied_seconds - first.occupied_seconds) / (ended - began) / SERVERS
    report.at_least(f"{phase}: share of the capacity used after {ROUND_TRIPS} round trips", used, 0.9)
    report.at_most(f"{phase}: most calls in flight after {ROUND_TRIPS} round trips", last.most_in_flight, 3 * SERVERS)
    report.tell(f"{phase}: share of the capacity used, the whole phase", f"{whole:.3f}")
    report.tell(f"{phase}: most calls in flight before", str(settled.most_in_flight))
    cpu, others = running.cpu_seconds() - cpu, running.others_cpu_seconds() - others
    report.tell(f"{phase}: CPU of the service, cores", f"{cpu / (ended - began):.2f}")
    report.tell(f"{phase}: CPU of other processes, cores", f"{others / (ended - began):.2f}")
