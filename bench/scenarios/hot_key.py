"""One key takes half of the traffic of four shards: the keys of the other shards do not notice.

All in one service and under one steady load, in rounds: nothing more for some seconds, as much more traffic of one key,
as much more spread over all keys. So what compares is seconds apart, and what else the machine does meanwhile (which
moves a p99 more than a hot key does) meets them alike. The verdict is the median round's; a stall of the service in
one of them would show in the ratio over all rounds, which is told beside it, with the CPU that others took.
"""

import asyncio
import hashlib
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from bench.scenarios.producers import ROUTE, Producers, missing, repeated
from bench.scenarios.report import Report
from bench.scenarios.world import World, world
from deploy.local.faultproxy.behaviour import Behaviour

SHARDS = 4
PER_SECOND = 1500
"""Events of all other keys together, and as many of the hot one, which are more than its shard takes."""
EVENTS = 10
REQUESTS = PER_SECOND / EVENTS / SHARDS
"""A second, for each shard, of the steady load."""
CLIENTS = 64
"""That send what there is more. They wait for their answers, as anybody who is throttled must."""
STREAM = Behaviour(delay=0.02, shards=SHARDS, records_per_second=1000, bytes_per_second=1e6)
CONFIGURATION = {
    "sinks": {"orders": {"type": "kinesis", "stream": "orders"}},
    "routes": {"orders": {**ROUTE, "to": ["orders"]}},
}
HOT_KEY = "hot"


def _shard(key: str) -> int:
    return int.from_bytes(hashlib.md5(key.encode()).digest(), "big") * SHARDS >> 128


WARM_UP_SECONDS = 5.0
"""In which the shards are learnt, the unused second of their capacity is spent, and slow start ends."""
PHASE_SECONDS = 3.0
"""Measured from the first moment, when a hot key is news."""
REST_SECONDS = 1.0
"""Between two phases, for what the last one left behind; not measured."""
KEYS = [f"k{number}" for number in range(4000)]
NEIGHBOURS = [key for key in KEYS if _shard(key) == _shard(HOT_KEY)]
ELSEWHERE = [key for key in KEYS if _shard(key) != _shard(HOT_KEY)]
WITHOUT, HOT, SPREAD = "no more traffic", "as much more, one key", "as much more, spread"
MORE: Mapping[str, Callable[[int], str] | None] = {
    WITHOUT: None,
    HOT: lambda _: HOT_KEY,
    SPREAD: lambda number: KEYS[number % len(KEYS)],
}
"""In the order of a round: what a hot key leaves behind must not be in what it is compared with."""


class Phase(Struct, frozen=True):
    """Some seconds with one kind of traffic."""

    kind: str
    began: float
    """Loop time."""
    shards: list[float]
    """Records that each shard took per second, what was left behind included."""
    others: float
    """CPU that other processes of this machine took, in cores."""

    def has(self, moment: float) -> bool:
        """Whether a request that was due at `moment` is measured here."""
        return self.began <= moment < self.began + PHASE_SECONDS


async def run(seconds: float, folder: Path) -> Report:
    """As many rounds as there are in so long, three at least."""
    slot = PHASE_SECONDS + REST_SECONDS
    rounds = max(3, round(seconds / slot / len(MORE)))
    report = Report(f"one key takes half of {2 * PER_SECOND} events/s to {SHARDS} shards, {rounds} rounds")
    async with world(CONFIGURATION, {"orders": STREAM}, folder) as running:
        producers = Producers(running.session, running.url)
        clock = asyncio.get_running_loop().time
        phases: list[Phase] = []
        began = clock() + WARM_UP_SECONDS
        until = began + rounds * len(MORE) * slot
        async with asyncio.TaskGroup() as group:
            steady = group.create_task(_steady(producers, until))
            while len(phases) < rounds * len(MORE):
                await asyncio.sleep(began + len(phases) * slot - clock())
                phases.append(await _phase(running, producers, list(MORE)[len(phases) % len(MORE)]))
        _compare(report, phases, steady.result())
        acknowledged, taken = producers.acknowledged["orders"], await running.taken("orders")
        report.at_most("acknowledged events that did not arrive", missing(acknowledged, taken), 0, "g")
        report.at_most("acknowledged events that arrived twice", repeated(acknowledged, taken), 0, "g")
        report.tell("answers by status", str(dict(producers.statuses)))
    return report


async def _steady(producers: Producers, until: float) -> list[tuple[float, float]]:
    """The load of all phases; of the requests with keys of other shards when each was due, and the seconds it took."""
    async with asyncio.TaskGroup() as group:
        group.create_task(
            producers.open_loop("orders", REQUESTS, EVENTS, until, lambda number: NEIGHBOURS[number % len(NEIGHBOURS)])
        )
        elsewhere = group.create_task(
            producers.open_loop(
                "orders", REQUESTS * (SHARDS - 1), EVENTS, until, lambda number: ELSEWHERE[number % len(ELSEWHERE)]
            )
        )
    return elsewhere.result()


async def _phase(running: World, producers: Producers, kind: str) -> Phase:
    clock = asyncio.get_running_loop().time
    before, others, began = await running.counts("orders"), running.others_cpu_seconds(), clock()
    key_of = MORE[kind]
    if key_of is not None:
        interval = CLIENTS * EVENTS / PER_SECOND
        await producers.closed_loop("orders", CLIENTS, EVENTS, began + PHASE_SECONDS, interval, key_of)
    await asyncio.sleep(began + PHASE_SECONDS - clock())
    after, others, took = await running.counts("orders"), running.others_cpu_seconds() - others, clock() - began
    taken = [(last - first) / took for first, last in zip(before.shards_taken, after.shards_taken, strict=True)]
    return Phase(kind, began, taken, others / took)


def _compare(report: Report, phases: list[Phase], steady: list[tuple[float, float]]) -> None:
    tails: dict[str, list[float]] = {}
    total: dict[str, float] = {}
    for kind in MORE:
        own = [phase for phase in phases if phase.kind == kind]
        found = [[took for due, took in steady if phase.has(due)] for phase in own]
        pooled = [took for each in found for took in each]
        tails[kind], total[kind] = [_p99(each) for each in found], _p99(pooled)
        report.tell(f"{kind}: p50 / p99 elsewhere, ms", f"{_ms(statistics.median(pooled))} / {_ms(total[kind])}")
        report.tell(f"{kind}: p99 by round, ms", " ".join(map(_ms, tails[kind])))
        shards = [round(statistics.mean(taken)) for taken in zip(*(phase.shards for phase in own), strict=True)]
        report.tell(f"{kind}: records per second by shard", str(shards))
        report.tell(f"{kind}: CPU of others, cores", f"{statistics.mean(phase.others for phase in own):.2f}")
    ratios = [hot / without for hot, without in zip(tails[HOT], tails[WITHOUT], strict=True)]
    report.at_most("p99 elsewhere, hot key / without, median round", statistics.median(ratios), 1.5)
    report.tell("the same over all rounds together", f"{total[HOT] / total[WITHOUT]:.3g}")
    report.tell("p99 elsewhere, hot key / spread, all rounds", f"{total[HOT] / total[SPREAD]:.3g}")


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
