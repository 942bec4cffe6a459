"""The service and the fault proxy as child processes, each on a core of its own where that can be had."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml

from bench.scenarios import usage
from deploy.local.child import Child, leashed
from deploy.local.emulator import isolated
from deploy.local.faultproxy.behaviour import Behaviour
from deploy.local.faultproxy.target import Counts


class World:
    """What runs, and how to reach it. Both children end with the block that made it."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: str, service: Child, url: str, admin: str) -> None:
        self.session = session
        self.service = service
        self.url = url
        """The service, without a path."""
        self._endpoint = endpoint
        self._admin = admin

    async def behave(self, target: str, behaviour: Behaviour) -> None:
        """Let a stream, delivery stream or queue behave so from now on."""
        await _behave(self.session, self._endpoint, target, behaviour)

    async def counts(self, target: str) -> Counts:
        """What has happened at it so far."""
        async with self.session.get(f"{self._endpoint}/_counts/{target}") as answer:
            return msgspec.json.decode(await answer.read(), type=Counts)

    async def taken(self, target: str) -> bytes:
        """How often it took each event, by event number; up to the last one it has seen."""
        async with self.session.get(f"{self._endpoint}/_ledger/{target}/taken") as answer:
            return await answer.read()

    async def status(self, lane: str) -> Mapping[str, Any]:
        """What /status says of a lane."""
        async with self.session.get(f"{self._admin}/status") as answer:
            lanes: Mapping[str, Any] = (await answer.json())["lanes"]
            return dict(lanes[lane])

    def cpu_seconds(self) -> float:
        """CPU time of the service so far."""
        return usage.cpu_seconds(self.service.pid)

    def resident_bytes(self, most: bool = False) -> float:
        """Resident memory of the service."""
        return usage.resident_bytes(self.service.pid, most)


@asynccontextmanager
async def world(
    configuration: Mapping[str, Any], behaviours: Mapping[str, Behaviour], folder: Path
) -> AsyncIterator[World]:
    """The proxy, whose targets behave so from the start, and the service before it. Raises ChildError."""
    file, log = folder / "penstock.yaml", folder / "service.log"
    ports = {"server": {"port": 0, "deregister_delay": 0}, "admin": {"port": 0}}
    tree = {**configuration, **{name: {**configuration.get(name, {}), **more} for name, more in ports.items()}}
    file.write_text(yaml.safe_dump(tree), "utf-8")
    mine, others = _cores()
    if others:
        os.sched_setaffinity(0, mine)
    pin: list[str | Path] = ["taskset", "-c", ",".join(map(str, others))] if others else []
    proxy = Child("The fault proxy", leashed("deploy.local.faultproxy"), folder / "proxy.log", announces=True)
    with proxy:
        endpoint = (await asyncio.to_thread(proxy.announcement))["endpoint"]
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
            for target, behaviour in behaviours.items():
                await _behave(session, endpoint, target, behaviour)
            command = [*pin, *leashed("service.cli", "serve", "--config", file)]
            environment = isolated(os.environ, endpoint)
            with Child("Penstock", command, log, environment, grace_seconds=30) as service:
                await asyncio.to_thread(service.wait_until, lambda: _serving(log) is not None)
                serving = _serving(log)
                assert serving is not None
                yield World(session, endpoint, service, serving["address"], serving["admin"])
                service.check()


async def _behave(session: aiohttp.ClientSession, endpoint: str, target: str, behaviour: Behaviour) -> None:
    async with session.put(f"{endpoint}/_behaviour/{target}", data=msgspec.json.encode(behaviour)) as answer:
        answer.raise_for_status()


def _cores() -> tuple[set[int], set[int]]:
    """Cores of everything else, and the service's; the latter empty where processes cannot be bound."""
    if not hasattr(os, "sched_getaffinity") or shutil.which("taskset") is None:
        return set(), set()
    cores = sorted(os.sched_getaffinity(0))
    return (set(cores[1:]), {cores[0]}) if len(cores) > 1 else (set(), set())


def _serving(log: Path) -> Mapping[str, str] | None:
    for line in log.read_text("utf-8", errors="replace").splitlines():
        if line.startswith("{") and (found := json.loads(line)).get("message") == "serving":
            return dict(found)
    return None
