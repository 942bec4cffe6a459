"""A service with workers as its tests see it: configured, loaded, asked, and held still."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.conservation import Sample
from tests.integration.command import Serving

TWO = {"PENSTOCK__SERVER__WORKERS": "2"}
PRODUCERS = 32


def written(folder: Path, sink: str = "Slow", server: str = "", **settings: str) -> None:
    """A configuration with one route, `orders`, to a sink of `workers_sinks`."""
    more = "".join(f", {name}: {value}" for name, value in settings.items())
    kind = f"tests.integration.workers_sinks:{sink}"
    (folder / "penstock.yaml").write_text(
        f"server: {{{server}}}\n"
        f'sinks: {{lake: {{type: "{kind}", path: {folder / "taken"}{more}}}}}\n'
        "routes: {orders: {to: [lake]}}\n"
    )


def taken(folder: Path) -> dict[str, list[int]]:
    """By process id, the numbers of the events that it delivered."""
    found: dict[str, list[int]] = {}
    for line in (folder / "taken").read_text().splitlines():
        process, _, body = line.partition(" ")
        found.setdefault(process, []).append(json.loads(body)["number"])
    return found


def status(serving: Serving) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(serving.get("/status"))
    return found


def pids(serving: Serving) -> list[int]:
    return [each["pid"] for each in status(serving)["workers"]]


def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def all_serve(serving: Serving) -> bool:
    return [each["state"] for each in status(serving)["workers"]] == ["serving", "serving"]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


class Load:
    """Producers that send until they are told to stop, each on a connection of its own that it keeps."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/orders"
        self._numbers = iter(range(10**9))
        self.acknowledged: list[int] = []
        self.statuses = Counter[int]()
        self.broken = 0
        self.stopped = False

    async def run(self) -> None:
        await asyncio.gather(*(self._produce() for _ in range(PRODUCERS)))

    async def _produce(self) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
            while not self.stopped:
                number = next(self._numbers)
                try:
                    async with session.post(self._url, json={"number": number}) as answer:
                        await answer.read()
                        self.statuses[answer.status] += 1
                        if answer.status == 200:
                            self.acknowledged.append(number)
                except aiohttp.ClientConnectionError:
                    self.broken += 1
                    await asyncio.sleep(0.01)

    async def reaches(self, count: int) -> None:
        """Return once so many events are acknowledged."""
        async with asyncio.timeout(30):
            while len(self.acknowledged) < count:
                await asyncio.sleep(0.01)


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that hangs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def counters(found: list[Sample]) -> dict[tuple[str, ...], float]:
    """Everything that only ever grows."""
    grows = ("_total", "_count", "_sum", "_bucket")
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for sample in found
        if sample.name.endswith(grows)
    }
