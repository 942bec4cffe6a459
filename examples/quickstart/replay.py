"""The replay: posts events in batches over a few connections, as a well-behaved producer does, and keeps the ledger.

Refused events are not sent again; the others are, after the time that Retry-After names.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import aiohttp
import orjson

from examples.quickstart.ledger import REQUIRED, Destination, Fate, Ledger

BATCH = 250
CONNECTIONS = 8
PATIENCE_SECONDS = 90.0
MOST_UNREAD = 1000
HOLD_BACK_SECONDS = 5.0
HEADERS = {"Content-Type": "application/cloudevents-batch+json", "Prefer": "return=minimal"}
Event = dict[str, Any]
Result = dict[str, Any]
_FATES = {"delivered": Fate.DELIVERED, "rejected": Fate.REJECTED, "failed": Fate.FAILED, "unknown": Fate.FAILED}


class ReplayError(Exception):
    """The gateway answered what it never should. The message holds the answer."""


class Replay:
    """Sends events to one URL."""

    def __init__(self, url: str, ledger: Ledger, advanced: Callable[[int], object]) -> None:
        """`advanced` hears of events as they get their final answer."""
        self._url = url
        self._ledger = ledger
        self._advanced = advanced
        self.refusals: list[Result] = []
        """The results of refused events."""

    async def run(self, events: Iterable[Event]) -> None:
        """Send all events. Raises ReplayError, or aiohttp.ClientError if the gateway is gone."""
        batches = _batches(events)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as senders:
            for _ in range(CONNECTIONS):
                senders.create_task(self._send_all(session, batches))

    async def _send_all(self, session: aiohttp.ClientSession, batches: Iterator[list[Event]]) -> None:
        for batch in batches:
            await self._wait_for_readers()
            self._ledger.sent(event["id"] for event in batch)
            await self._send(session, batch)
            self._advanced(len(batch))

    async def _wait_for_readers(self) -> None:
        """Hold back, at most HOLD_BACK_SECONDS, while the emulator's queue is deep: each call scans all of it."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + HOLD_BACK_SECONDS
        while self._ledger.unread(Destination.QUEUE) > MOST_UNREAD and clock() < deadline:
            await asyncio.sleep(0.05)

    async def _send(self, session: aiohttp.ClientSession, batch: list[Event]) -> None:
        """Send a batch until each event has its final answer, or patience is over."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + PATIENCE_SECONDS
        while True:
            async with session.post(self._url, data=orjson.dumps(batch), headers=HEADERS) as response:
                content = await response.read()
            again = self._settle(batch, response.status, content)
            if not again:
                return
            pause = float(response.headers.get("Retry-After", "1"))
            if clock() + pause > deadline:
                for event in again:
                    self._ledger.answered(event["id"], dict.fromkeys(REQUIRED, Fate.FAILED))
                return
            self._ledger.sent_again += len(again)
            await asyncio.sleep(pause)
            batch = again

    def _settle(self, batch: list[Event], status: int, content: bytes) -> list[Event]:
        """Enter the final answers into the ledger. Returns the events to be sent again."""
        answer = orjson.loads(content) if content else {}
        if "results" not in answer:
            if status in (429, 503):
                return batch
            raise ReplayError(f"{self._url} answered {status}: {content[:500].decode(errors='replace')}")
        results = {result["index"]: result for result in answer["results"]}
        again = []
        for index, event in enumerate(batch):
            result = results.get(index)
            if result is None or result["status"] == "delivered":
                self._ledger.answered(event["id"], dict.fromkeys(REQUIRED, Fate.DELIVERED))
            elif result["retryable"]:
                again.append(event)
            else:
                self.refusals.append(result)
                self._ledger.answered(event["id"], fates(result))
        return again


def fates(result: Result) -> dict[Destination, Fate]:
    """What the result of a refused event says of each destination.

    `sinks` is there only when their fates differ; `dead_lettered` says that the copy has been acknowledged.
    """
    sinks = result.get("sinks", {})
    told = {destination: _FATES[sinks.get(destination, "rejected")] for destination in REQUIRED}
    buried = result.get("error", {}).get("dead_lettered", False)
    return told | {Destination.DEAD: Fate.DELIVERED if buried else Fate.FAILED}


def _batches(events: Iterable[Event]) -> Iterator[list[Event]]:
    remaining = iter(events)
    while batch := list(itertools.islice(remaining, BATCH)):
        yield batch
