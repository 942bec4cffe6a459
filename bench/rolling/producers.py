"""Producers on connections that they keep, at a rate of their own, which try nothing twice."""

import asyncio
import itertools
import json
from collections import Counter
from typing import Final

import aiohttp

from bench.rolling.replicas import EVENTS

BATCH: Final = 10
"""Events in a request."""
_PAD: Final = "x" * 250


class Producers:
    """What all of them have sent and heard."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        """`session` keeps connections and has as many as it needs."""
        self._session = session
        self._url = f"http://127.0.0.1:{port}/v1/{EVENTS}"
        self._numbers = itertools.count()
        self.acknowledged: list[str] = []
        """Ids of events that were answered 200."""
        self.failures = Counter[str]()
        """Requests that were not, by what was heard instead."""
        self.seconds: list[float] = []
        """From when a request was due to its answer."""

    async def capacity(self, clients: int, seconds: float) -> float:
        """Requests a second that `clients` get answered which send as soon as they are answered."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        before = len(self.seconds)

        async def send() -> None:
            while clock() < until:
                await self._send(clock())

        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(send())
        return (len(self.seconds) - before) / seconds

    async def offer(self, per_second: float, stop: asyncio.Event) -> None:
        """Send at that rate, whatever becomes of the requests, until `stop`; then wait for what is on its way."""
        clock = asyncio.get_running_loop().time
        due = clock()
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                await asyncio.sleep(due - clock())
                group.create_task(self._send(due))
                due += 1 / per_second

    async def _send(self, due: float) -> None:
        ids = [f"e{next(self._numbers)}" for _ in range(BATCH)]
        body = "\n".join([f'{{"id":"{each}","pad":"{_PAD}"}}' for each in ids])
        try:
            async with self._session.post(
                self._url, data=body, headers={"Content-Type": "application/x-ndjson"}
            ) as answer:
                told = await answer.read()
        except (aiohttp.ClientError, OSError) as error:
            self.failures[f"{type(error).__name__}: {error}"] += 1
            return
        if answer.status == 200:
            self.acknowledged += ids
            self.seconds.append(asyncio.get_running_loop().time() - due)
        else:
            self.failures[f"status {answer.status}: {json.loads(told).get('detail', 'see the results')}"] += 1
