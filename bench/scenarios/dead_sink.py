"""One of four destinations is dead for a while: the others do not notice, and it resumes by itself."""

import asyncio
from pathlib import Path

from bench.scenarios.producers import ROUTE, Producers, missing
from bench.scenarios.report import Report
from bench.scenarios.world import World, world
from deploy.local.faultproxy.behaviour import Behaviour

WELL = Behaviour(delay=0.02, shards=8)
DEAD = Behaviour(dead=True, shards=8)
SINKS = {
    "orders": {"type": "kinesis", "stream": "orders"},
    "lake": {"type": "firehose", "delivery_stream": "lake", "linger": "100ms"},
    "queue": {"type": "sqs", "queue": "queue"},
    "copy": {"type": "kinesis", "stream": "copy"},
}
"""The last one dies."""
VICTIM = "copy"
OTHERS = [sink for sink in SINKS if sink != VICTIM]
LETTERS = "letters"
EVERYWHERE = "everywhere"
CONFIGURATION = {
    "sinks": {**SINKS, LETTERS: {"type": "sqs", "queue": LETTERS}},
    "routes": {
        **{sink: {**ROUTE, "to": [sink]} for sink in SINKS},
        EVERYWHERE: {**ROUTE, "to": [*OTHERS, {"sink": VICTIM, "required": False}], "dead_letter": LETTERS},
    },
}
CLIENTS = 16
EVENTS = 25
PER_SECOND = 500
"""Events to each route: less than the service can do, so that what it saves on the dead one does not show."""
WARM_UP_SECONDS = 2.0
RESUMES_SECONDS = 5.0


async def run(seconds: float, folder: Path) -> Report:
    """The destination is dead for so long; a quarter of that before, and a quarter after."""
    report = Report(f"{VICTIM!r} is dead for {seconds:g} s; {PER_SECOND} events/s to each of {len(SINKS) + 1} routes")
    calm = max(4.0, seconds / 4)
    async with world(CONFIGURATION, dict.fromkeys([*SINKS, LETTERS], WELL), folder) as running:
        producers = Producers(running.session, running.url)
        clock = asyncio.get_running_loop().time
        until = clock() + WARM_UP_SECONDS + calm + seconds + RESUMES_SECONDS + calm
        interval = CLIENTS * EVENTS / PER_SECOND
        async with asyncio.TaskGroup() as group:
            for route in [*SINKS, EVERYWHERE]:
                group.create_task(producers.closed_loop(route, CLIENTS, EVENTS, until, interval))
            await asyncio.sleep(WARM_UP_SECONDS)
            before = await _rates(running, calm)
            await running.behave(VICTIM, DEAD)
            calls, cpu = (await running.counts(VICTIM)).calls, running.cpu_seconds()
            during = await _rates(running, seconds)
            calls, cpu = (await running.counts(VICTIM)).calls - calls, running.cpu_seconds() - cpu
            held = (await running.status(VICTIM))["held_events"]
            await running.behave(VICTIM, WELL)
            resumed = await _resumed(running)
            await asyncio.sleep(RESUMES_SECONDS)
            after = await _rates(running, calm)
        await _settled(running)
        for sink in OTHERS:
            report.at_least(f"{sink}: throughput while {VICTIM!r} is dead / before", during[sink] / before[sink], 0.95)
        report.at_most(f"{VICTIM}: seconds from its return to its first event", resumed, RESUMES_SECONDS)
        await _arrivals(running, producers, report)
        report.tell(f"{VICTIM}: throughput after / before", f"{after[VICTIM] / before[VICTIM]:.2f}")
        report.tell(f"{VICTIM}: calls per second while dead", f"{calls / seconds:.2f}")
        report.tell(f"{VICTIM}: events held when it returned", str(held))
        report.tell("dead letters", str((await running.counts(LETTERS)).records_taken))
        report.tell("events per second before", str({sink: round(rate) for sink, rate in before.items()}))
        report.tell("CPU of the service while it is dead", f"{cpu / seconds:.2f}")
        report.tell("answers by status", str(dict(producers.statuses)))
        report.tell("longest Retry-After, s", f"{producers.longest_wait:g}")
    return report


async def _rates(running: World, seconds: float) -> dict[str, float]:
    """Events that each destination takes per second, over the next `seconds`."""
    clock = asyncio.get_running_loop().time
    first = {sink: (await running.counts(sink)).events_taken for sink in SINKS}
    began = clock()
    await asyncio.sleep(seconds)
    last = {sink: (await running.counts(sink)).events_taken for sink in SINKS}
    took = clock() - began
    return {sink: (last[sink] - first[sink]) / took for sink in SINKS}


async def _resumed(running: World) -> float:
    """Seconds until the destination takes something again; 60 at most."""
    clock = asyncio.get_running_loop().time
    began, before = clock(), (await running.counts(VICTIM)).records_taken
    while clock() - began < 60 and (await running.counts(VICTIM)).records_taken == before:
        await asyncio.sleep(0.05)
    return clock() - began


async def _settled(running: World) -> None:
    """Wait until nothing is held by any lane; a minute at most."""
    async with asyncio.timeout(60):
        for sink in (*SINKS, LETTERS):
            while (await running.status(sink))["held_events"]:
                await asyncio.sleep(0.1)


async def _arrivals(running: World, producers: Producers, report: Report) -> None:
    taken = {target: await running.taken(target) for target in (*SINKS, LETTERS)}
    lost = sum(missing(producers.acknowledged[sink], taken[sink]) for sink in SINKS)
    lost += sum(missing(producers.acknowledged[EVERYWHERE], taken[sink]) for sink in OTHERS)
    report.at_most("acknowledged events missing at a required sink", lost, 0, "g")
    nowhere = missing(producers.acknowledged[EVERYWHERE], taken[VICTIM], taken[LETTERS])
    report.at_most(f"missing at {VICTIM!r} and among the dead letters", nowhere, 0, "g")
    report.tell("events acknowledged", str(sum(map(sum, producers.acknowledged.values()))))
