"""The service in life after life on one journal, and destinations in a process of their own that outlive it."""

import asyncio
import os
import time
from array import array
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import msgspec
import yaml
from msgspec import Struct

from deploy.local.books import astray, scraped
from deploy.local.child import Child, leashed
from deploy.local.emulator import isolated
from deploy.local.faultproxy.behaviour import Behaviour
from deploy.local.faultproxy.ledger import Take
from deploy.local.faultproxy.target import Counts
from service.journal.opening import FILE
from service.journal.store import Store

LOOK_SECONDS: Final = 0.02
"""How often it is looked whether something has happened."""


class Life(Struct):
    """From its start to its end. Moments are of the system's monotonic clock, in seconds."""

    began: float
    killed: float = 0.0
    """When the signal went out; 0 for a life that was not ended so."""
    serving: float = 0.0
    """When it said that it serves; 0 if it did not come so far."""
    url: str = ""
    admin: str = ""


class Lives:
    """One service at a time."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: str, file: Path, journal: Path) -> None:
        self.session = session
        self.lives: list[Life] = []
        self.serves = asyncio.Event()
        """Set while requests can be sent to `url`."""
        self.child: Child | None = None
        self.astray = 0.0
        """Events that were not accounted for when a life was about to end by itself."""
        self._endpoint = endpoint
        self._file = file
        self._journal = journal

    @property
    def url(self) -> str:
        """Of the life that is, or was last."""
        return self.lives[-1].url

    async def start(self) -> Self:
        """Begin a life; returns at once."""
        log = self._file.with_name(f"life-{len(self.lives)}.log")
        environment = isolated(os.environ, self._endpoint)
        command = leashed("service.cli", "serve", "--config", self._file)
        self.child = Child("Penstock", command, log, environment, grace_seconds=30).__enter__()
        self.lives.append(Life(time.monotonic()))
        return self

    async def serving(self) -> Life:
        """Return once it serves. Raises ChildError if it ends before."""
        assert self.child is not None
        told = await asyncio.to_thread(self.child.logged, "serving", LOOK_SECONDS)
        life = self.lives[-1]
        life.url, life.admin, life.serving = told["address"], told["admin"], time.monotonic()
        self.serves.set()
        return life

    async def kill(self, targets: Iterable[str]) -> None:
        """SIGKILL, and wait until the destinations have nothing of it any more. Raises ChildError if it has ended by
        itself."""
        assert self.child is not None
        self.child.check()
        self.serves.clear()
        self.lives[-1].killed = time.monotonic()
        self.child.kill()
        await asyncio.to_thread(self.child.stop)
        self.child = None
        for target in targets:
            while (await self.counts(target)).in_flight:
                await asyncio.sleep(LOOK_SECONDS)

    async def end(self) -> int:
        """SIGTERM; the exit code. The books of this life must balance before."""
        assert self.child is not None
        found = await asyncio.to_thread(scraped, self.lives[-1].admin)
        self.astray += sum(map(abs, astray(found).values()))
        self.serves.clear()
        child, self.child = self.child, None
        return await asyncio.to_thread(child.stop)

    # --- the destinations

    async def behave(self, target: str, behaviour: Behaviour) -> None:
        """Let a queue or a stream behave so from now on."""
        url = f"{self._endpoint}/_behaviour/{target}"
        async with self.session.put(url, data=msgspec.json.encode(behaviour)) as answer:
            answer.raise_for_status()

    async def counts(self, target: str) -> Counts:
        """What has happened at it so far."""
        return msgspec.json.decode(await self._asked(f"_counts/{target}"), type=Counts)

    async def taken(self, target: str) -> bytes:
        """How often it took each event, by number."""
        return await self._asked(f"_ledger/{target}/taken")

    async def takes(self, target: str) -> list[Take]:
        """All its calls that left something, in their order."""
        rows = msgspec.json.decode(await self._asked(f"_takes/{target}"), type=list[tuple[list[int], float, float]])
        return [Take(array("I", events), taken, answered) for events, taken, answered in rows]

    async def _asked(self, path: str) -> bytes:
        async with self.session.get(f"{self._endpoint}/{path}") as answer:
            return await answer.read()

    # --- the journal, between two lives

    def left(self) -> int:
        """Stored events that are not settled everywhere."""
        with Store.open(self._journal / "worker-0" / FILE) as store:
            return sum(stream.waiting for stream in store.streams.values())

    def journal_bytes(self) -> int:
        """Bytes of all its files."""
        return sum(each.stat().st_size for each in self._journal.rglob("*") if each.is_file())


@asynccontextmanager
async def lives(
    configuration: Mapping[str, Any], behaviours: Mapping[str, Behaviour], folder: Path, seed: int
) -> AsyncIterator[Lives]:
    """The destinations, and nothing started yet. What runs ends with the block. Raises ChildError."""
    journal = folder / "journal"
    tree = {
        "server": {"port": 0, "deregister_delay": 0},
        "admin": {"port": 0},
        # a temporary folder may be of a kind that is refused
        "journal": {"path": str(journal), "volume": "ephemeral", "min_free": 0},
        **configuration,
    }
    file = folder / "penstock.yaml"
    file.write_text(yaml.safe_dump(tree), "utf-8")
    command = leashed("deploy.local.faultproxy", "--seed", str(seed))
    with Child("The destinations", command, folder / "destinations.log", announces=True) as proxy:
        endpoint = (await asyncio.to_thread(proxy.announcement))["endpoint"]
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
            found = Lives(session, endpoint, file, journal)
            for target, behaviour in behaviours.items():
                await found.behave(target, behaviour)
            try:
                yield found
            finally:
                if found.child is not None:
                    found.child.kill()
                    found.child.stop()
