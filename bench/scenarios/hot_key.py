"""One key takes half of the traffic of four shards: the keys of the other shards do not notice."""

import asyncio
import hashlib
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.scenarios.producers import ROUTE, Producers, missing, repeated
from bench.scenarios.report import Report
from bench.scenarios.world import world
from deploy.local.faultproxy.behaviour import Behaviour

SHARDS = 4
PER_SECOND = 1500
"""Events of all other keys together, and as many of the hot one, which are more than its shard takes."""
EVENTS = 10
CLIENTS = 64
"""That send the hot key."""
STREAM = Behaviour(delay=0.02, shards=SHARDS, records_per_second=1000, bytes_per_second=1e6)
CONFIGURATION = {
    "sinks": {"orders": {"type": "kinesis", "stream": "orders"}},
    "routes": {"orders": {**ROUTE, "to": ["orders"]}},
}
HOT_KEY = "hot"


def _shard(key: str) -> int:
    return int.from_bytes(hashlib.md5(key.encode()).digest(), "big") * SHARDS >> 128


WARM_UP_SECONDS = 2.0
KEYS = [f"k{number}" for number in range(4000)]
NEIGHBOURS = [key for key in KEYS if _shard(key) == _shard(HOT_KEY)]
ELSEWHERE = [key for key in KEYS if _shard(key) != _shard(HOT_KEY)]
MORE: Mapping[str, Callable[[int], str] | None] = {
    "no more traffic": None,
    "as much more, spread": lambda number: KEYS[number % len(KEYS)],
    "as much more, one key": lambda _: HOT_KEY,
}


async def run(seconds: float, folder: Path) -> Report:
    """A third of so long each: without the hot key, with its traffic spread over all keys, and with it."""
    report = Report(f"one key takes half of {2 * PER_SECOND} events/s to {SHARDS} shards, {seconds:g} s")
    tails: dict[str, float] = {}
    for name, key_of in MORE.items():
        async with world(CONFIGURATION, {"orders": STREAM}, folder) as running:
            producers = Producers(running.session, running.url)
            found = await _load(producers, seconds / len(MORE), key_of)
            tails[name] = statistics.quantiles(found, n=100)[98]
            acknowledged, taken = producers.acknowledged["orders"], await running.taken("orders")
            counts = await running.counts("orders")
            report.tell(f"{name}: p50 / p99 elsewhere, ms", f"{_ms(statistics.median(found))} / {_ms(tails[name])}")
            report.tell(f"{name}: answers by status", str(dict(producers.statuses)))
            report.tell(f"{name}: records taken by shard", str(counts.shards_taken))
            report.at_most(f"{name}: acknowledged, not arrived", missing(acknowledged, taken), 0, "g")
            report.at_most(f"{name}: arrived twice", repeated(acknowledged, taken), 0, "g")
    without, spread, hot = tails.values()
    report.at_most("p99 elsewhere, with the hot key / without it", hot / without, 1.5)
    report.tell("p99 elsewhere, with the hot key / its traffic spread", f"{hot / spread:.3g}")
    return report


async def _load(producers: Producers, seconds: float, key_of: Callable[[int], str] | None) -> list[float]:
    """Seconds of the requests with keys of the other shards, from when each was due; without those of the warm-up."""
    until = asyncio.get_running_loop().time() + WARM_UP_SECONDS + seconds
    requests = PER_SECOND / EVENTS / SHARDS
    async with asyncio.TaskGroup() as group:
        measured = group.create_task(
            producers.open_loop(
                "orders", requests * (SHARDS - 1), EVENTS, until, lambda number: ELSEWHERE[number % len(ELSEWHERE)]
            )
        )
        group.create_task(
            producers.open_loop("orders", requests, EVENTS, until, lambda number: NEIGHBOURS[number % len(NEIGHBOURS)])
        )
        if key_of is not None:
            interval = CLIENTS * EVENTS / PER_SECOND
            group.create_task(producers.closed_loop("orders", CLIENTS, EVENTS, until, interval, key_of))
    return measured.result()[round(requests * (SHARDS - 1) * WARM_UP_SECONDS) :]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
