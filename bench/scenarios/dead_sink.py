"""One of four destinations is dead for a while: the others do not notice, and it resumes by itself.

They are Kinesis, Firehose, SQS and Kafka. One route goes to each, and one to all four, to which the dead one is
best-effort.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from bench.scenarios.producers import ROUTE, Producers, missing
from bench.scenarios.report import Report
from bench.scenarios.topic import Topic
from bench.scenarios.world import World, world
from deploy.local.faultproxy.behaviour import Behaviour

WELL = Behaviour(delay=0.02, shards=8)
DEAD = Behaviour(dead=True, shards=8)
AWS_SINKS: Mapping[str, Mapping[str, Any]] = {
    "stream": {"type": "kinesis", "stream": "stream"},
    "lake": {"type": "firehose", "delivery_stream": "lake", "linger": "100ms"},
    "queue": {"type": "sqs", "queue": "queue"},
}
STREAM, TOPIC = "stream", "topic"
SINKS = [*AWS_SINKS, TOPIC]
LETTERS = "letters"
EVERYWHERE = "everywhere"
CLIENTS = 16
EVENTS = 25
PER_SECOND = 500
"""Events to each route: less than the service can do, so that what it saves on the dead one does not show."""
WARM_UP_SECONDS = 2.0
RESUMES_SECONDS = 5.0


class Destination(Protocol):
    """What a sink writes to."""

    async def events(self) -> int:
        """Events that it has."""

    async def taken(self) -> bytes:
        """How often it has each event, by event number."""

    async def die(self) -> None:
        """Break every connection."""

    async def revive(self) -> None:
        """Serve as before."""


class Proxied:
    """A destination of AWS behind the fault proxy."""

    def __init__(self, running: World, name: str) -> None:
        self._running = running
        self._name = name

    async def events(self) -> int:
        """Events that it has."""
        return (await self._running.counts(self._name)).events_taken

    async def taken(self) -> bytes:
        """How often it has each event, by event number."""
        return await self._running.taken(self._name)

    async def die(self) -> None:
        """Break every connection that brings a call."""
        await self._running.behave(self._name, DEAD)

    async def revive(self) -> None:
        """Serve as before."""
        await self._running.behave(self._name, WELL)


async def run(seconds: float, folder: Path) -> Report:
    """Kinesis is dead for so long; a quarter of that before, and a quarter after."""
    return await _run(seconds, folder, STREAM)


async def run_kafka(seconds: float, folder: Path) -> Report:
    """The same with Kafka."""
    return await _run(seconds, folder, TOPIC)


def _configuration(brokers: str, victim: str) -> Mapping[str, Any]:
    sinks = {**AWS_SINKS, TOPIC: {"type": "kafka", "brokers": brokers, "topic": TOPIC}}
    to = [{"sink": sink, "required": sink != victim} for sink in sinks]
    return {
        "sinks": {**sinks, LETTERS: {"type": "sqs", "queue": LETTERS}},
        "routes": {
            **{sink: {**ROUTE, "to": [sink]} for sink in sinks},
            EVERYWHERE: {**ROUTE, "to": to, "dead_letter": LETTERS},
        },
    }


async def _run(seconds: float, folder: Path, victim: str) -> Report:
    report = Report(f"{victim!r} is dead for {seconds:g} s; {PER_SECOND} events/s to each of {len(SINKS) + 1} routes")
    behaviours = dict.fromkeys([*AWS_SINKS, LETTERS], WELL)
    with Topic(TOPIC) as topic:
        async with world(_configuration(topic.brokers, victim), behaviours, folder) as running:
            destinations: dict[str, Destination] = {
                **{sink: Proxied(running, sink) for sink in AWS_SINKS},
                TOPIC: topic,
            }
            await _live(seconds, running, destinations, victim, report)
    return report


async def _live(
    seconds: float, running: World, destinations: Mapping[str, Destination], victim: str, report: Report
) -> None:
    calm = max(4.0, seconds / 4)
    producers = Producers(running.session, running.url)
    clock = asyncio.get_running_loop().time
    until = clock() + WARM_UP_SECONDS + calm + seconds + 2 * RESUMES_SECONDS + calm
    dying = destinations[victim]
    async with asyncio.TaskGroup() as group:
        for route in [*SINKS, EVERYWHERE]:
            group.create_task(producers.closed_loop(route, CLIENTS, EVENTS, until, CLIENTS * EVENTS / PER_SECOND))
        await asyncio.sleep(WARM_UP_SECONDS)
        before = await _rates(destinations, calm)
        await dying.die()
        calls, cpu, others = await _calls(running, victim), running.cpu_seconds(), running.others_cpu_seconds()
        during = await _rates(destinations, seconds)
        calls, cpu = await _calls(running, victim) - calls, running.cpu_seconds() - cpu
        others = running.others_cpu_seconds() - others
        held, had = (await running.status(victim))["held_events"], await dying.events()
        await dying.revive()
        resumed = await _resumed(dying, had)
        await asyncio.sleep(RESUMES_SECONDS)
        after = await _rates(destinations, calm)
    await _settled(running)
    for sink in SINKS:
        if sink != victim:
            report.at_least(f"{sink}: throughput while {victim!r} is dead / before", during[sink] / before[sink], 0.95)
    report.at_most(f"{victim}: seconds from its return to its first event", resumed, RESUMES_SECONDS)
    await _arrivals(running, producers, destinations, victim, report)
    report.tell(f"{victim}: throughput after / before", f"{after[victim] / before[victim]:.2f}")
    report.tell(f"{victim}: calls per second while dead", f"{calls / seconds:.2f}")
    report.tell(f"{victim}: events held when it returned", str(held))
    report.tell("dead letters", str((await running.counts(LETTERS)).records_taken))
    report.tell("events per second before", str({sink: round(rate) for sink, rate in before.items()}))
    report.tell("CPU of the service while it is dead, cores", f"{cpu / seconds:.2f}")
    report.tell("CPU of other processes meanwhile, cores", f"{others / seconds:.2f}")
    report.tell("answers by status", str(dict(producers.statuses)))
    report.tell("longest Retry-After, s", f"{producers.longest_wait:g}")


async def _rates(destinations: Mapping[str, Destination], seconds: float) -> dict[str, float]:
    """Events that each destination takes per second, over the next `seconds`."""
    clock = asyncio.get_running_loop().time
    first = {sink: await destination.events() for sink, destination in destinations.items()}
    began = clock()
    await asyncio.sleep(seconds)
    last = {sink: await destination.events() for sink, destination in destinations.items()}
    took = clock() - began
    return {sink: (last[sink] - first[sink]) / took for sink in destinations}


async def _calls(running: World, sink: str) -> float:
    """Calls of a lane that have ended so far."""
    found = [line for line in (await running.metrics()).splitlines() if line.startswith("penstock_lane_calls_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in found if f'sink="{sink}"' in line)


async def _resumed(destination: Destination, had: int) -> float:
    """Seconds until the destination has more events than it had; 60 at most."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while clock() - began < 60 and await destination.events() <= had:
        await asyncio.sleep(0.05)
    return clock() - began


async def _settled(running: World) -> None:
    """Wait until nothing is held by any lane; a minute at most."""
    async with asyncio.timeout(60):
        for sink in (*SINKS, LETTERS):
            while (await running.status(sink))["held_events"]:
                await asyncio.sleep(0.1)


async def _arrivals(
    running: World, producers: Producers, destinations: Mapping[str, Destination], victim: str, report: Report
) -> None:
    taken = {sink: await destination.taken() for sink, destination in destinations.items()}
    everywhere = producers.acknowledged[EVERYWHERE]
    lost = sum(missing(producers.acknowledged[sink], taken[sink]) for sink in SINKS)
    lost += sum(missing(everywhere, taken[sink]) for sink in SINKS if sink != victim)
    report.at_most("acknowledged events missing at a required sink", lost, 0, "g")
    nowhere = missing(everywhere, taken[victim], await running.taken(LETTERS))
    report.at_most(f"missing at {victim!r} and among the dead letters", nowhere, 0, "g")
    report.tell("events acknowledged", str(sum(map(sum, producers.acknowledged.values()))))
