"""A destination of 32 parallel servers becomes forty times slower, and fast again: the calls in flight follow."""

import asyncio
from pathlib import Path

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
CONFIGURATION = {
    "sinks": {
        "work": {
            "type": "bench.scenarios.plain_queue:PlainQueue",
            "url": "${AWS_ENDPOINT_URL}",
            "queue": "work",
            "concurrency": 256,
        }
    },
    "routes": {"work": {**ROUTE, "to": ["work"]}},
}


def _queue(delay: float) -> Behaviour:
    return Behaviour(servers=SERVERS, delay=delay)


async def run(seconds: float, folder: Path) -> Report:
    """Three phases in so long; in less than 45 s the slow one is less slow, to last for 20 round trips still."""
    slow = min(SLOW_SECONDS, seconds * SHARES["slow"] / (2 * ROUND_TRIPS))
    report = Report(f"{SERVERS} servers answer in {FAST_SECONDS:g} s, {slow:g} s, {FAST_SECONDS:g} s; {seconds:g} s")
    async with world(CONFIGURATION, {"work": _queue(FAST_SECONDS)}, folder) as running:
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
    return report


async def _watch(running: World, report: Report, phase: str, delay: float, seconds: float) -> None:
    """Report one phase: from its tenth round trip on, and as a whole."""
    clock = asyncio.get_running_loop().time
    first, began, cpu = await running.counts("work"), clock(), running.cpu_seconds()
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
    report.tell(f"{phase}: CPU of the service", f"{(running.cpu_seconds() - cpu) / (ended - began):.2f}")
