"""One event is stuck for ever, many beside and behind it are delivered, then kill -9: none of those is sent again."""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

from bench.crash.lives import LOOK_SECONDS, Lives, lives
from bench.scenarios.producers import ROUTE, line
from bench.scenarios.report import Report
from deploy.local.faultproxy.behaviour import Behaviour

STREAM: Final = "stream"
STUCK: Final = 50
"""In the midst of the first request."""
EVENTS: Final = 100
"""In a request."""
CLIENTS: Final = 4
AFTERWARDS: Final = 3
"""Requests, one after the other, with whose commits what was settled before is on the disk."""
CONFIGURATION: Final[dict[str, Any]] = {
    "sinks": {
        "stream": {"type": "kinesis", "stream": STREAM, "shard_events_per_second": 0, "shard_bytes_per_second": 0},
        "dead": {"type": "sqs", "queue": "dead"},
    },
    "routes": {"orders": {**ROUTE, "ack": "stored", "to": ["stream"], "dead_letter": "dead"}},
}


async def run(behind: int, seed: int, folder: Path) -> Report:
    """So many events beside it. Raises ChildError, TimeoutError."""
    report = Report(f"one event stuck, {behind:,} delivered behind it, then kill -9")
    refusing = Behaviour(refused=(STUCK,), record_code="InternalFailure")
    last = behind + 1
    others = [number for number in range(1, last + 1) if number != STUCK]
    async with lives(CONFIGURATION, {STREAM: refusing}, folder, seed) as running, asyncio.timeout(60 + behind / 500):
        await running.start()
        await running.serving()
        await _post(running, range(1, min(last, EVENTS) + 1))
        await _post_all(running, range(EVENTS + 1, last + 1))
        await _until_taken(running, behind)
        for number in range(last + 1, last + 1 + AFTERWARDS):
            await _post(running, [number])
        full = running.journal_bytes()
        await running.kill([STREAM])

        tried = (await running.counts(STREAM)).records_refused
        taken = await running.taken(STREAM)
        twice = sum(taken[number] > 1 for number in others)
        report.at_most("events beside it taken more than once before the kill", twice, 0, "g")
        await running.start()
        began = (await running.serving()).began
        while (await running.counts(STREAM)).records_refused == tried:
            await asyncio.sleep(LOOK_SECONDS)
        report.tell("seconds from exec until the stuck one was tried", f"{time.monotonic() - began:.2f}")
        new = last + 1 + AFTERWARDS
        await _post(running, [new])
        await _until_taken(running, behind + AFTERWARDS + 1)
        taken = await running.taken(STREAM)
        again = sum(taken[number] > 1 for number in others)
        report.at_most("events beside it that were sent again", again, 0, "g")
        report.tell("requests after them that were, without a commit behind", str(sum(map(_more, taken[last + 1 :]))))
        report.tell("bytes of the journal's files at the kill", f"{full:,}")

        await running.behave(STREAM, Behaviour())
        await _until_taken(running, behind + AFTERWARDS + 2)
        code = await running.end()
        report.at_most("times the stuck one was taken, once it could be", (await running.taken(STREAM))[STUCK], 1, "g")
        report.at_most("exit code after SIGTERM", code, 0, "g")
        report.at_most("events that its books did not account for before", running.astray, 0, "g")
        report.at_most("events left in the journal then", running.left(), 0, "g")
        report.at_most("dead letters", (await running.counts("dead")).records_taken, 0, "g")
    return report


def _more(times: int) -> int:
    return max(0, times - 1)


async def _post_all(running: Lives, numbers: range) -> None:
    requests = iter([numbers[at : at + EVENTS] for at in range(0, len(numbers), EVENTS)])

    async def client() -> None:
        for request in requests:
            await _post(running, request)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def _post(running: Lives, numbers: range | list[int]) -> None:
    """Send these until they are stored."""
    body = b"\n".join([line(number, f"k{number}") for number in numbers])
    headers = {"Content-Type": "application/x-ndjson"}
    while True:
        async with running.session.post(f"{running.url}/v1/orders", data=body, headers=headers) as answer:
            told = await answer.text()
        if answer.status == 202:
            return
        if answer.status != 503:
            raise RuntimeError(f"{answer.status}: {told[:400]}")
        await asyncio.sleep(float(answer.headers["Retry-After"]))


async def _until_taken(running: Lives, events: int) -> None:
    while (await running.counts(STREAM)).events_taken < events:
        await asyncio.sleep(LOOK_SECONDS * 5)
