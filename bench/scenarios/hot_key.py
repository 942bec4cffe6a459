"""One key takes half of the traffic of four shards: the keys of the other shards do not notice.

All in one service and under one steady load, in rounds: nothing more for some seconds, as much more traffic of one key,
as much more spread over all keys. So what compares is seconds apart. For a round in which other processes of this
machine took CPU another one is run, and the least disturbed are judged: with one of two cores taken by others the p99
doubled without any hot key.
"""

import asyncio
import hashlib
import statistics
from collections.abc import Callable, Mapping, Sequence
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
"""Before each phase, for what the last one left behind; not measured."""
MOST_OTHERS = 0.1
"""Cores that other processes may take in a phase that is compared; more, and the round is disturbed."""
LEAST_ROUNDS = 3
PATIENCE = 4
"""How many times as many rounds are run at most until enough are undisturbed."""
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

    tail: list[float]
    """Seconds that requests with keys of the other shards took, from when each was due."""
    shards: list[float]
    """Records that each shard took per second, what was left behind included."""
    others: float
    """CPU that other processes of this machine took, in cores."""


Round = Mapping[str, Phase]
"""A phase of each kind."""


def _disturbance(each: Round) -> float:
    return max(each[WITHOUT].others, each[HOT].others)


async def run(seconds: float, folder: Path) -> Report:
    """As many rounds as there are in so long, three at least; more only in place of disturbed ones."""
    wanted = max(LEAST_ROUNDS, round(seconds / len(MORE) / (PHASE_SECONDS + REST_SECONDS)))
    report = Report(f"one key takes half of {2 * PER_SECOND} events/s to {SHARDS} shards, {wanted} rounds")
    rounds: list[Round] = []
    async with world(CONFIGURATION, {"orders": STREAM}, folder) as running:
        producers = Producers(running.session, running.url)
        await _steady(producers, asyncio.get_running_loop().time() + WARM_UP_SECONDS)
        disturbed = 0
        while len(rounds) - disturbed < wanted and len(rounds) < PATIENCE * wanted:
            rounds.append(await _round(running, producers))
            disturbed += _disturbance(rounds[-1]) > MOST_OTHERS
        acknowledged, taken = producers.acknowledged["orders"], await running.taken("orders")
    report.tell(f"rounds, of which the {wanted} least disturbed are judged", f"{len(rounds)}, {disturbed} disturbed")
    _compare(report, sorted(rounds, key=_disturbance)[:wanted])
    report.at_most("acknowledged events that did not arrive", missing(acknowledged, taken), 0, "g")
    report.at_most("acknowledged events that arrived twice", repeated(acknowledged, taken), 0, "g")
    report.tell("answers by status", str(dict(producers.statuses)))
    return report


async def _round(running: World, producers: Producers) -> Round:
    clock = asyncio.get_running_loop().time
    slot = REST_SECONDS + PHASE_SECONDS
    start = clock()
    steady = asyncio.create_task(_steady(producers, start + len(MORE) * slot))
    begins, shards, others = {}, {}, {}
    for number, (kind, key_of) in enumerate(MORE.items()):
        await asyncio.sleep(start + number * slot + REST_SECONDS - clock())
        before, used, begins[kind] = await running.counts("orders"), running.others_cpu_seconds(), clock()
        ends = begins[kind] + PHASE_SECONDS
        if key_of is not None:
            interval = CLIENTS * EVENTS / PER_SECOND
            await producers.closed_loop("orders", CLIENTS, EVENTS, ends, interval, key_of)
        await asyncio.sleep(ends - clock())
        took = clock() - begins[kind]
        others[kind] = (running.others_cpu_seconds() - used) / took
        after = await running.counts("orders")
        taken = zip(before.shards_taken, after.shards_taken, strict=True)
        shards[kind] = [(last - first) / took for first, last in taken]
    found = await steady
    return {
        kind: Phase(
            [took for due, took in found if begins[kind] <= due < begins[kind] + PHASE_SECONDS],
            shards[kind],
            others[kind],
        )
        for kind in MORE
    }


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


def _compare(report: Report, rounds: Sequence[Round]) -> None:
    total: dict[str, float] = {}
    for kind in MORE:
        own = [each[kind] for each in rounds]
        pooled = [took for phase in own for took in phase.tail]
        total[kind] = _p99(pooled)
        report.tell(f"{kind}: p50 / p99 elsewhere, ms", f"{_ms(statistics.median(pooled))} / {_ms(total[kind])}")
        report.tell(f"{kind}: p99 by round, ms", " ".join(_ms(_p99(phase.tail)) for phase in own))
        shards = [round(statistics.mean(taken)) for taken in zip(*(phase.shards for phase in own), strict=True)]
        report.tell(f"{kind}: records per second by shard", str(shards))
        report.tell(f"{kind}: CPU of others, cores", f"{statistics.mean(phase.others for phase in own):.2f}")
    report.at_most("p99 elsewhere, with the hot key / without it", total[HOT] / total[WITHOUT], 1.5)
    report.tell("p99 elsewhere, with the hot key / its traffic spread", f"{total[HOT] / total[SPREAD]:.3g}")


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
