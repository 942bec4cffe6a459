"""Firehose as the producer of a service that is killed in flight: nothing is lost, little is delivered twice."""

import asyncio
import json
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.http.firehose import PATH, body, headers, numbered
from tests.integration.command import Serving

RECORDS = 200
"""Of a request: several calls of the sink."""
PRODUCERS = 4
KILLS = 6
BETWEEN = 8
"""Requests answered between two kills."""
CONFIGURATION = """
server: {memory: 64MiB}
logs: {form: json}
sinks:
  out: {type: "tests.integration.gated_sink:Gated", path: out, gate: gate}
  dead: {type: "tests.integration.gated_sink:Gated", path: dead, gate: gate}
routes:
  orders: {to: [out], dead_letter: dead}
sources:
  stream:
    type: firehose
    codec: json
    access_keys: [correct-horse-battery-staple]
    route: orders
    max_body: 1MiB
    max_message: 512KiB
"""


@dataclass
class Stream:
    """A Firehose stream: each request is sent again, with the same id, until it is answered 200."""

    url: str
    answered: int = 0
    """Requests."""
    interrupted: int = 0
    """Times that the connection was lost, or that nobody listened."""
    again: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the service is there."""
    progress: asyncio.Condition = field(default_factory=asyncio.Condition)
    ended: bool = False
    begun: int = 0

    async def produce(self, session: aiohttp.ClientSession) -> None:
        """Send until `ended`; what was begun is sent to its end."""
        while not self.ended:
            number = self.begun
            self.begun += 1
            name = f"request-{number}"
            content = body([*numbered(range(number * RECORDS, (number + 1) * RECORDS)), b"no json"], name)
            while not await self._sent(session, content, name):
                pass
            async with self.progress:
                self.answered += 1
                self.progress.notify_all()

    async def _sent(self, session: aiohttp.ClientSession, content: bytes, name: str) -> bool:
        await self.again.wait()
        given = headers(name) | {"Content-Type": "application/json"}
        try:
            async with session.post(self.url + PATH, data=content, headers=given) as answer:
                assert (await answer.json())["requestId"] == name
                assert answer.status in (200, 503)
                return answer.status == 200
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):  # before its answer, or within it
            self.interrupted += 1
            await asyncio.sleep(0)
            return False

    async def until_answered(self, requests: int) -> None:
        async with self.progress:
            await self.progress.wait_for(lambda: self.answered >= requests)


@pytest.mark.timeout(180)
async def test_a_service_that_is_killed_in_flight_loses_no_record_that_firehose_sends_until_it_is_answered(
    tmp_path: Path,
) -> None:
    (tmp_path / "penstock.yaml").write_text(CONFIGURATION)
    (tmp_path / "gate").touch()
    stream = Stream("")
    serving = Serving("serve", folder=tmp_path)
    await asyncio.to_thread(serving.__enter__)
    stream.url = serving.url
    stream.again.set()
    try:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            for _ in range(PRODUCERS):
                group.create_task(stream.produce(session))
            for kill in range(1, KILLS + 1):
                await stream.until_answered(kill * BETWEEN)
                stream.again.clear()
                serving.signal(signal.SIGKILL)
                await asyncio.to_thread(serving.end)
                serving = Serving("serve", folder=tmp_path)
                await asyncio.to_thread(serving.__enter__)
                stream.url = serving.url
                stream.again.set()
            await stream.until_answered((KILLS + 1) * BETWEEN)
            stream.ended = True
        serving.signal(signal.SIGTERM)
        assert await asyncio.to_thread(serving.end) == 0
    finally:
        await asyncio.to_thread(serving.__exit__, None, None, None)
    arrived = Counter(json.loads(line)["number"] for line in (tmp_path / "out").read_bytes().splitlines())
    assert arrived.keys() == set(range(stream.begun * RECORDS))
    assert stream.interrupted >= KILLS, "nothing was in flight"
    assert arrived.total() - len(arrived) <= KILLS * PRODUCERS * RECORDS
    letters = Counter(json.loads(line)["id"] for line in (tmp_path / "dead").read_bytes().splitlines())
    assert letters.keys() == {f"request-{number}/{RECORDS}" for number in range(stream.begun)}
    assert letters.total() - len(letters) <= KILLS * PRODUCERS
