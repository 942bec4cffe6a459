"""The whole service in this process, on ports of its own, with scripted sinks: what every test here talks to.

When it ends, it has kept the books (design section 3: what was received is settled or held) and left nothing behind.
"""

import asyncio
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext
from tempfile import TemporaryDirectory
from typing import Any

from service import app
from service.config import Config, load
from tests.http.client import JSON, SECONDS, TRUST, Answer, Connection, connect, head, request
from tests.http.scripted import Scripted, entered

_SAMPLE = re.compile(r"(?P<name>[a-z_]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'([a-z_]+)="([^"]*)"')

ENVIRONMENT = {
    "PENSTOCK__SERVER__PORT": "0",
    "PENSTOCK__SERVER__DEREGISTER_DELAY": "0",
    "PENSTOCK__ADMIN__PORT": "0",
}

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """One scrape of /metrics."""

    def __init__(self, text: str) -> None:
        self._samples: dict[str, dict[Labels, float]] = {}
        for line in text.splitlines():
            if match := _SAMPLE.fullmatch(line):
                labels = tuple(sorted(_LABEL.findall(match["labels"] or "")))
                self._samples.setdefault(match["name"], {})[labels] = float(match["value"])

    def total(self, name: str, **labels: str) -> int:
        """The sum of the samples with these labels."""
        wanted = set(labels.items())
        return int(sum(value for given, value in self._samples.get(name, {}).items() if wanted <= set(given)))

    def by(self, name: str, *labels: str) -> Counter[tuple[str, ...]]:
        """The samples' sums by the values of these labels."""
        sums: Counter[tuple[str, ...]] = Counter()
        for given, value in self._samples.get(name, {}).items():
            sums[tuple(dict(given)[label] for label in labels)] += int(value)
        return sums


class Service:
    """The running service, and the shortest ways to talk to it."""

    def __init__(
        self,
        config: Config,
        url: str,
        admin: str,
        sinks: Mapping[str, Scripted],
        stop: asyncio.Event,
        now: asyncio.Event,
        running: asyncio.Task[bool],
    ) -> None:
        self.config = config
        self.url = url
        self.admin = admin
        self.sinks = sinks
        self.stop = stop
        """Set, it is the first signal."""
        self.now = now
        """Set, it is the second."""
        self.running = running
        """True once everything taken was settled."""
        self.trust: SSLContext | None = TRUST.get("any")
        """What a client needs whose address begins with https://."""

    async def connect(self) -> Connection:
        """A new connection to the public port."""
        return await connect(self.url, self.trust)

    async def raw(self, data: bytes, method: str = "POST") -> Answer:
        """The answer to the bytes of one request, on a connection of its own."""
        async with await self.connect() as connection:
            await connection.send(data)
            return await connection.answer(method)

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None, content_type: str = JSON
    ) -> Answer:
        """The answer to a POST."""
        return await self.raw(request(path, body, headers, content_type=content_type))

    async def metrics(self) -> Metrics:
        """What /metrics says now."""
        async with await connect(self.admin, self.trust) as connection:
            await connection.send(head("GET", "/metrics", {"Connection": "close"}))
            return Metrics((await connection.answer("GET")).body.decode())

    async def until(self, holds: Callable[[Metrics], bool]) -> Metrics:
        """The first scrape for which `holds` is true."""
        async with asyncio.timeout(SECONDS):
            while not holds(found := await self.metrics()):
                await asyncio.sleep(0.01)
        return found

    async def idle(self) -> Metrics:
        """The metrics once no request is open; asserts that bodies hold no memory then."""
        found = await self.until(lambda metrics: metrics.total("penstock_http_requests_open") == 0)
        assert found.total("penstock_http_body_bytes") == 0
        return found

    def conserved(self, metrics: Metrics) -> None:
        """Assert that nothing was lost or counted twice, at the edge and in each lane."""
        accepted = metrics.by("penstock_events_received_total", "route")
        accepted.subtract(metrics.by("penstock_events_rejected_total", "route"))
        lane_received = metrics.by("penstock_lane_events_received_total", "sink", "route")
        for name, route in self.config.routes.items():
            if route.ack == "stored":
                ways = ("stored_total", "failed_total", "queued")
                stored = sum(metrics.total(f"penstock_journal_events_{way}", route=name) for way in ways)
                assert stored == accepted[(name,)], f"route {name}"
                continue
            for to in route.to:
                assert lane_received[to.sink, name] == accepted[(name,)], f"route {name}, sink {to.sink}"
        ended = metrics.by("penstock_lane_events_settled_total", "sink", "route")
        ended.update(metrics.by("penstock_lane_events_held", "sink", "route"))
        assert +ended == +lane_received


@asynccontextmanager
async def running(text: str, files: Mapping[str, str] | None = None) -> AsyncIterator[Service]:
    """The service of the configuration `text`; `files` lie beside it. Ends with the books balanced."""
    await _warm()
    tasks, descriptors = len(asyncio.all_tasks()), _descriptors()
    with TemporaryDirectory() as folder:
        for name, content in (files or {}).items():
            Path(folder, name).write_text(content)
        path = Path(folder, "penstock.yaml")
        path.write_text(text)
        service = await _start(load(path, ENVIRONMENT))
        try:
            yield service
            if not service.running.done():
                metrics = await service.idle()
                service.conserved(metrics)
        finally:
            service.stop.set()
            await service.running
    assert all(sink.left for sink in service.sinks.values())
    await _reaches(lambda: len(asyncio.all_tasks()), tasks)
    await _reaches(_descriptors, descriptors)


async def _start(config: Config) -> Service:
    addresses: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
    stop, now = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(app.run(config, stop, now, lambda url, admin: addresses.set_result((url, admin))))
    either: set[asyncio.Future[Any]] = {running, addresses}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    sinks = dict(entered)
    entered.clear()
    return Service(config, *addresses.result(), sinks, stop, now, running)


async def _warm() -> None:
    """Let the loop open what it keeps for good: uvloop's for its first stream and its first address."""
    loop = asyncio.get_running_loop()
    await loop.getaddrinfo("127.0.0.1", 0)
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    server.close()
    await server.wait_closed()


def _descriptors() -> int:
    return len(os.listdir("/dev/fd"))


async def _reaches(count: Callable[[], int], at_most: int) -> None:
    """Return once the count is back; the far ends of closed connections take a moment."""
    async with asyncio.timeout(SECONDS):
        while count() > at_most:
            await asyncio.sleep(0.005)
