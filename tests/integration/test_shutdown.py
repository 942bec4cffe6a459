"""SIGTERM under load: what was answered as delivered is there, at every required destination."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from examples.quickstart.ledger import REQUIRED
from tests.integration.gateway import Gateway, batches, delivered, gateway, post

ANSWERED = 1500
"""Deliveries before the signal: all connections are busy by then."""
PRODUCERS = 8


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGTERM, "1"), (signal.SIGINT, "1"), (signal.SIGTERM, "2")])
async def test_every_event_answered_before_a_signal_is_at_every_destination(
    tmp_path: Path, number: int, workers: str
) -> None:
    overrides = {"PENSTOCK__SERVER__DEREGISTER_DELAY": "200ms", "PENSTOCK__SERVER__WORKERS": workers}
    async with gateway(tmp_path, overrides) as running, aiohttp.ClientSession() as session:
        reading = asyncio.create_task(running.readback.run())
        source = batches()
        producers = [asyncio.create_task(_produce(running, session, source)) for _ in range(PRODUCERS)]
        while delivered(running.ledger) < ANSWERED:
            await asyncio.sleep(0.01)
            assert not any(producer.done() for producer in producers)
        before = delivered(running.ledger)
        running.child.process.send_signal(number)
        code = await asyncio.to_thread(running.child.process.wait, 30)
        statuses = set[int]().union(*await asyncio.gather(*producers))
        assert code == 0, "nothing was in trouble, so everything must have been settled"
        assert statuses <= {200, 503}
        assert delivered(running.ledger) > before, "it serves on while it is being taken out of the load balancer"
        async with asyncio.timeout(30):
            while any(running.ledger.account(destination).missing for destination in REQUIRED):
                await asyncio.sleep(0.05)
                assert not reading.done()
        running.readback.stop()
        await reading
        assert not any(running.ledger.account(destination).duplicates for destination in REQUIRED)


async def _produce(
    running: Gateway, session: aiohttp.ClientSession, source: Iterator[list[dict[str, Any]]]
) -> set[int]:
    """Send until the gateway is gone. Returns the statuses it answered."""
    statuses = set()
    with contextlib.suppress(aiohttp.ClientConnectionError):
        for batch in source:
            status, _, _ = await post(running, session, batch)
            statuses.add(status)
    return statuses
