"""Producers that send each event once, and log what they were answered."""

import asyncio
import itertools
import random
import time
from collections import Counter
from typing import Final

import aiohttp
import orjson
from msgspec import Struct

from bench.crash.lives import Lives
from bench.scenarios.producers import line

SCHEMA: Final = {"type": "object", "required": ["id", "key", "pad"]}
"""Of the events."""
KEYS: Final = 10
"""Of each producer, which no other has."""
MOST_EVENTS: Final = 20
"""In a request."""
MOST_PAUSE_SECONDS: Final = 0.04
INVALID_SHARE: Final = 0.05


def invalid(number: int) -> bytes:
    """An event that the schema refuses."""
    return b'{"id":"e%d"}' % number


class Round(Struct, frozen=True):
    """A request that was answered, with events that were stored. In seconds of the system's monotonic clock."""

    life: int
    sent: float
    answered: float


class Log:
    """What all producers know. Events are numbers."""

    def __init__(self) -> None:
        self.stored: dict[str, set[int]] = {}
        """Acknowledged, by route."""
        self.refused: set[int] = set()
        """Invalid."""
        self.failed = 0
        """Answered with trouble that is not the event's."""
        self.unanswered = 0
        self.key: dict[int, str] = {}
        self.rounds: dict[int, list[Round]] = {}
        """By producer."""
        self.statuses: Counter[int] = Counter()
        self.numbers = itertools.count(1)


async def produce(lives: Lives, log: Log, which: int, routes: list[str], rng: random.Random) -> None:
    """Send requests of 1 to MOST_EVENTS events, one at a time, until cancelled; waits while no life serves."""
    rounds = log.rounds.setdefault(which, [])
    while True:
        await lives.serves.wait()
        route = rng.choice(routes)
        numbers = list(itertools.islice(log.numbers, rng.randint(1, MOST_EVENTS)))
        life, sent = len(lives.lives) - 1, time.monotonic()
        if await post(lives, log, route, numbers, which, rng):
            rounds.append(Round(life, sent, time.monotonic()))
        await asyncio.sleep(rng.uniform(0, MOST_PAUSE_SECONDS))


async def post(lives: Lives, log: Log, route: str, numbers: list[int], which: int, rng: random.Random) -> int:
    """Send these once. Returns how many were stored."""
    bodies = []
    for number in numbers:
        log.key[number] = f"p{which}k{rng.randrange(KEYS)}"
        valid = rng.random() >= INVALID_SHARE
        bodies.append(line(number, log.key[number]) if valid else invalid(number))
    headers = {"Content-Type": "application/x-ndjson"}
    try:
        async with lives.session.post(f"{lives.url}/v1/{route}", data=b"\n".join(bodies), headers=headers) as answer:
            status, told = answer.status, orjson.loads(await answer.read())
    except aiohttp.ClientError:
        log.unanswered += len(numbers)
        return 0
    log.statuses[status] += 1
    results = told.get("results")
    if results is None:
        log.failed += len(numbers)
        return 0
    assert [result["index"] for result in results] == list(range(len(numbers))), told
    stored = log.stored.setdefault(route, set())
    before = len(stored)
    for number, result in zip(numbers, results, strict=True):
        if result["status"] == "stored":
            stored.add(number)
        elif result["status"] == "invalid":
            log.refused.add(number)
        else:
            log.failed += 1
    return len(stored) - before
