"""The quickstart's stack under test: the gateway as a child process, real destinations, a ledger of every event."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from deploy.local.child import Child
from examples.quickstart.ledger import REQUIRED, Fate, Ledger
from examples.quickstart.readback import ReadBack
from examples.quickstart.replay import HEADERS
from examples.quickstart.resources import Clients, create
from examples.quickstart.stack import Stack
from tests.conservation import Sample, assert_balanced, samples

BATCH = 20
FLIGHT: dict[str, Any] = orjson.loads(Path("examples/quickstart/flight.json").read_bytes())


@dataclass
class Gateway:
    """Everything that runs, and what is known of each event."""

    stack: Stack
    child: Child
    aws: Clients
    ledger: Ledger
    readback: ReadBack

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.stack.port}/v1/flights"

    async def metrics(self, session: aiohttp.ClientSession) -> list[Sample]:
        """The samples of /metrics now."""
        async with session.get(f"http://127.0.0.1:{self.stack.admin_port}/metrics") as answer:
            return samples(await answer.text())


@asynccontextmanager
async def gateway(logs: Path, overrides: Mapping[str, str]) -> AsyncIterator[Gateway]:
    """A running stack of its own: emulator, mock cluster, gateway; all four destinations are read all along.

    If the gateway runs to the end its books must balance then.
    """
    with Stack(0, 0, logs) as stack:
        await asyncio.to_thread(stack.start_emulator)
        await asyncio.to_thread(stack.start_broker, "mock")
        async with Clients(stack.endpoint) as aws:
            urls = await create(aws)
            child = await asyncio.to_thread(stack.start_gateway, overrides)
            ledger = Ledger()
            readback = ReadBack(aws, urls, stack.brokers, ledger)
            running = Gateway(stack, child, aws, ledger, readback)
            yield running
            if child.process.poll() is None:
                async with aiohttp.ClientSession() as session:
                    assert_balanced(await running.metrics(session))


def batches(first: int = 0) -> Iterator[list[dict[str, Any]]]:
    """Batches of flights with ids that are never used twice."""
    numbers = itertools.count(first)
    while True:
        yield [FLIGHT | {"id": f"flight-{number}"} for number in itertools.islice(numbers, BATCH)]


async def post(running: Gateway, session: aiohttp.ClientSession, batch: list[dict[str, Any]]) -> tuple[int, Any, str]:
    """Send a batch once and note each event's fate. Returns status, the answer and Retry-After.

    An event without an answer stays unanswered: nothing is promised of it. Raises aiohttp.ClientError.
    """
    running.ledger.sent(event["id"] for event in batch)
    async with session.post(running.url, data=orjson.dumps(batch), headers=HEADERS | {"Prefer": ""}) as answer:
        found = orjson.loads(await answer.read())
    for event, result in zip(batch, found.get("results", ()), strict=False):
        fate = Fate.DELIVERED if result["status"] == "delivered" else Fate.FAILED
        running.ledger.answered(event["id"], dict.fromkeys(REQUIRED, fate))
    return answer.status, found, answer.headers.get("Retry-After", "")


def delivered(ledger: Ledger) -> int:
    """How many events were answered as delivered."""
    return ledger.account(REQUIRED[0]).delivered
