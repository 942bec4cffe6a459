"""SIGKILL at random moments under load, many times on one journal: what was acknowledged arrives, in order."""

import asyncio
import json
import random
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.crash.account import Account, account
from bench.crash.lives import LOOK_SECONDS, Lives, lives
from bench.crash.producing import SCHEMA, Log, produce
from bench.scenarios.report import Report
from deploy.local.faultproxy.behaviour import Behaviour, Fault

PRODUCERS: Final = 4
BEFORE_SERVING: Final = 0.25
"""Share of kills that come while it starts, and reads its journal."""
MOST_START_SECONDS: Final = 2.5
MOST_SERVING_SECONDS: Final = 0.6
STANDSTILL_SECONDS: Final = 60.0
"""After the last kill everything is to arrive; so long without any more, and it is not awaited any longer."""

QUEUE, FIFO, STREAM, DEAD = "queue", "billing.fifo", "stream", "dead"
ROUTES: Final = {"one": (QUEUE,), "both": (FIFO, STREAM)}
"""Where the events of each route arrive."""
ORDERED: Final = (FIFO, STREAM)
TRYING: Final = Behaviour(
    delay=0.01,
    late=0.15,
    record_failures=0.02,
    shares={Fault.LATE: 0.1, Fault.THROTTLED: 0.04, Fault.UNAVAILABLE: 0.02},
)
"""A destination on a middling day. What is late is answered in time for the call, so it is no reason to send again."""
WELL: Final = Behaviour(delay=0.01)
"""And at the end, so that whatever is left arrives."""


def configuration(folder: Path) -> dict[str, Any]:
    """The service's; writes the schema into `folder`."""
    (folder / "schema.json").write_text(json.dumps(SCHEMA), "utf-8")
    schema = {"type": "jsonschema", "file": "schema.json"}
    route = {"id": "/id", "key": "/key", "ack": "stored", "schema": schema, "dead_letter": "dead"}
    return {
        "sinks": {
            # little memory, so that what waits comes back from the disk
            "queue": {"type": "sqs", "queue": QUEUE, "memory": "64KiB"},
            "fifo": {"type": "sqs", "queue": FIFO, "order": "key", "memory": "64KiB"},
            "stream": {"type": "kinesis", "stream": STREAM, "order": "key"},
            "dead": {"type": "sqs", "queue": DEAD},
        },
        "routes": {"one": {**route, "to": ["queue"]}, "both": {**route, "to": ["fifo", "stream"]}},
    }


async def run(kills: int, seed: int, folder: Path) -> Report:
    """So many kills, then a life in which everything arrives. Raises ChildError if a life ends by itself."""
    rng = random.Random(seed)
    log = Log()
    behaviours = dict.fromkeys((QUEUE, FIFO, STREAM), TRYING)
    began = time.monotonic()
    async with lives(configuration(folder), behaviours, folder, seed) as running:
        producers = [
            asyncio.create_task(produce(running, log, which, list(ROUTES), random.Random(f"{seed}/{which}")))
            for which in range(PRODUCERS)
        ]
        for _ in range(kills):
            await _live(running, rng)
            assert not any(each.done() for each in producers), [each for each in producers if each.done()]
        for each in producers:
            each.cancel()
        await asyncio.gather(*producers, return_exceptions=True)
        for target in behaviours:
            await running.behave(target, WELL)
        await running.start()
        await running.serving()
        seconds = await _arrived(running, log)
        code = await running.end()
        accounts = {
            target: account(
                await running.takes(target),
                running.lives,
                log.rounds,
                log.stored[route],
                log.refused,
                log.key if target in ORDERED else None,
            )
            for route, targets in ROUTES.items()
            for target in targets
        }
        dead = (await running.counts(DEAD)).records_taken
        report = _report(kills, seed, log, accounts)
        report.at_most("dead letters", dead, 0, "g")
        report.at_most("exit code after SIGTERM", code, 0, "g")
        report.at_most("events that its books did not account for before", running.astray, 0, "g")
        report.at_most("events left in the journal then", running.left(), 0, "g")
        report.tell("seconds until everything had arrived after the last start", f"{seconds:.1f}")
        starts = [life.serving - life.began for life in running.lives if life.serving]
        report.tell("seconds from exec to serving, median and most", f"{median(starts):.2f}, {max(starts):.2f}")
        report.tell("kills before it served", str(kills + 1 - len(starts)))
        report.tell("seconds in all", f"{time.monotonic() - began:.0f}")
    return report


async def _live(running: Lives, rng: random.Random) -> None:
    """One life, up to its kill."""
    await running.start()
    if rng.random() < BEFORE_SERVING:
        await asyncio.sleep(rng.uniform(0, MOST_START_SECONDS))
    else:
        await running.serving()
        await asyncio.sleep(rng.uniform(0, MOST_SERVING_SECONDS))
    await running.kill((QUEUE, FIFO, STREAM))


async def _arrived(running: Lives, log: Log) -> float:
    """Seconds until every acknowledged event has arrived where it should, or until nothing arrives any more."""
    began = since = time.monotonic()
    missing, before = -1, -1
    while missing and time.monotonic() - since < STANDSTILL_SECONDS:
        missing = 0
        for route, targets in ROUTES.items():
            for target in targets:
                taken = await running.taken(target)
                missing += sum(number >= len(taken) or not taken[number] for number in log.stored[route])
        if missing != before:
            before, since = missing, time.monotonic()
        await asyncio.sleep(LOOK_SECONDS * 5)
    return time.monotonic() - began


def _report(kills: int, seed: int, log: Log, accounts: dict[str, Account]) -> Report:
    report = Report(f"{kills} times kill -9 under load, seed {seed}")
    for target, each in accounts.items():
        report.at_most(f"{target}: acknowledged events that did not arrive", len(each.missing), 0, "g")
        report.at_most(f"{target}: refused events that arrived", len(each.refused), 0, "g")
        report.at_most(f"{target}: sent again though settled on the disk", len(each.needless), 0, "g")
        report.at_most(f"{target}: kills with more sent again than in flight", len(each.over), 0, "g")
        if target in ORDERED:
            report.at_most(f"{target}: first arrivals out of their key's order", len(each.out_of_order), 0, "g")
        worst = max(each.again, key=lambda kill: kill.events)
        report.tell(f"{target}: events arrived", f"{each.arrived:,}")
        report.tell(f"{target}: sent again, in all", str(sum(kill.events for kill in each.again)))
        report.tell(
            f"{target}: most after one kill, of how many in flight",
            f"{worst.events} of {worst.open} open + {worst.settling} settling",
        )
        windows = [kill.window for kill in each.again if kill.bound]
        report.tell(f"{target}: commit window, median", f"{median(windows) * 1000:.0f} ms" if windows else "-")
    report.at_least("events acknowledged", sum(map(len, log.stored.values())), kills, "g")
    report.at_least("events refused as invalid", len(log.refused), 1, "g")
    report.tell("events without an answer", str(log.unanswered))
    report.tell("events answered with trouble", str(log.failed))
    report.tell("answers by status", str(dict(log.statuses)))
    return report
