"""Producers that keep to the rules: they wait for each answer, obey Retry-After, resend only what is not safe.

They know what they were promised, event by event, to be compared with what the destinations have taken.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterable

import aiohttp
import orjson

HEADERS = {"Content-Type": "application/x-ndjson", "Prefer": "return=minimal"}
ROUTE = {"id": "/id", "key": "/key"}
"""Settings of a route that reads these events."""
EVENT_BYTES = 300
_EMPTY = len(b'{"id":"e","key":"","pad":""}')
KeyOf = Callable[[int], str]


def line(number: int, key: str) -> bytes:
    """One event of 300 bytes, in JSON."""
    own = f"{number}{key}"
    return f'{{"id":"e{number}","key":"{key}","pad":"{"x" * (EVENT_BYTES - _EMPTY - len(own))}"}}'.encode()


class Producers:
    """All clients of one scenario: what they sent and heard."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._numbers = itertools.count()
        self.acknowledged: dict[str, bytearray] = {}
        """By route: 1 for each event number that was answered as delivered."""
        self.attempts: list[int] = []
        """How often each request was sent whose events are all delivered."""
        self.seconds: list[float] = []
        """And how long that took, from its first sending to the last answer."""
        self.statuses: Counter[int] = Counter()
        self.longest_wait = 0.0
        """Most seconds that a Retry-After asked for."""

    async def closed_loop(
        self, route: str, clients: int, events: int, until: float, interval: float = 0.0, key_of: KeyOf = str
    ) -> None:
        """`clients` that each send `events` a request until loop time `until`, one request at a time.

        With `interval` a client sends a new request no sooner than that many seconds after the last one began.
        """
        async with asyncio.TaskGroup() as group:
            for client in range(clients):
                wait = interval * client / clients
                group.create_task(self._client(route, events, until, interval, key_of, wait))

    async def _client(self, route: str, events: int, until: float, interval: float, key_of: KeyOf, wait: float) -> None:
        clock = asyncio.get_running_loop().time
        due = clock() + wait
        while due < until:
            await asyncio.sleep(due - clock())
            began = clock()
            await self.send(route, [*itertools.islice(self._numbers, events)], until, key_of)
            due = max(clock(), began + interval)

    async def open_loop(
        self, route: str, per_second: float, events: int, until: float, key_of: KeyOf
    ) -> list[tuple[float, float]]:
        """Requests at a fixed rate, whatever becomes of them.

        Returns of each whose events are all delivered the loop time when it was due, and the seconds from then to its
        last answer.
        """
        loop = asyncio.get_running_loop()
        found: list[tuple[float, float]] = []

        async def timed(due: float) -> None:
            if await self.send(route, [*itertools.islice(self._numbers, events)], until, key_of):
                found.append((due, loop.time() - due))

        due = loop.time()
        async with asyncio.TaskGroup() as group:
            while due < until:
                await asyncio.sleep(due - loop.time())
                group.create_task(timed(due))
                due += 1 / per_second
        return found

    async def send(self, route: str, numbers: list[int], until: float, key_of: KeyOf = str) -> bool:
        """Send these events until all are delivered: True, or until `until`: False."""
        clock = asyncio.get_running_loop().time
        began, attempts = clock(), 0
        while numbers:
            attempts += 1
            numbers, retry_after = await self._post(route, numbers, key_of)
            if numbers:
                if clock() + retry_after >= until:
                    return False
                await asyncio.sleep(retry_after)
        self.attempts.append(attempts)
        self.seconds.append(clock() - began)
        return True

    async def _post(self, route: str, numbers: list[int], key_of: KeyOf) -> tuple[list[int], float]:
        """One request: what is not safe afterwards, and how long to wait with it."""
        body = b"\n".join([line(number, key_of(number)) for number in numbers])
        async with self._session.post(f"{self._url}/v1/{route}", data=body, headers=HEADERS) as answer:
            told = await answer.read()
        self.statuses[answer.status] += 1
        retry_after = float(answer.headers.get("Retry-After", 0))
        self.longest_wait = max(self.longest_wait, retry_after)
        if answer.status == 200:
            self._acknowledge(route, numbers)
            return [], retry_after
        results = orjson.loads(told).get("results")
        if results is None:
            return numbers, retry_after
        if refused := [result for result in results if not result["retryable"]]:
            raise RuntimeError(f"an event of the bench was refused for good: {refused[0]}")
        unsafe = {result["index"] for result in results}
        self._acknowledge(route, [number for index, number in enumerate(numbers) if index not in unsafe])
        return [numbers[index] for index in sorted(unsafe)], retry_after

    def _acknowledge(self, route: str, numbers: Iterable[int]) -> None:
        known = self.acknowledged.setdefault(route, bytearray())
        for number in numbers:
            if number >= len(known):
                known += bytes(number + 1 - len(known) + 4096)
            known[number] = 1


def missing(acknowledged: bytearray, *taken: bytes) -> int:
    """Events that were acknowledged and that none of the destinations has taken."""
    rows = itertools.zip_longest(acknowledged, *taken, fillvalue=0)
    return sum(1 for promised, *found in rows if promised and not any(found))


def repeated(acknowledged: bytearray, taken: bytes) -> int:
    """Events that were acknowledged and taken more than once."""
    return sum(1 for promised, times in zip(acknowledged, taken, strict=False) if promised and times > 1)
