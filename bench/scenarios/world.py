"""The service and the fault proxy as child processes, each on a core of its own where that can be had."""

import asyncio
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

    def __init__(
        self, session: aiohttp.ClientSession, endpoint: str, proxy: Child, service: Child, url: str, admin: str
    ) -> None:
        self.session = session
        self.service = service
        self.url = url
        """The service, without a path."""
        self._endpoint = endpoint
        self._proxy = proxy
        self.admin = admin
        """Its admin port, the same."""

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

    async def metrics(self) -> str:
        """The text of /metrics."""
        async with self.session.get(f"{self.admin}/metrics") as answer:
            return await answer.text()

    async def status(self, lane: str) -> Mapping[str, Any]:
        """What /status says of a lane."""
        async with self.session.get(f"{self.admin}/status") as answer:
            lanes: Mapping[str, Any] = (await answer.json())["lanes"]
            return dict(lanes[lane])

    def cpu_seconds(self) -> float:
        """CPU time of the service so far."""
        return usage.cpu_seconds(self.service.pid)

    def others_cpu_seconds(self) -> float:
        """CPU time of everything else on this machine so far: neither the service, the proxy nor this process."""
        own = sum(usage.cpu_seconds(pid) for pid in (self.service.pid, self._proxy.pid, os.getpid()))
        return usage.machine_cpu_seconds() - own

    def resident_bytes(self, most: bool = False) -> float:
        """Resident memory of the service."""
        return usage.resident_bytes(self.service.pid, most)


@asynccontextmanager
async def world(
    configuration: Mapping[str, Any],
    behaviours: Mapping[str, Behaviour],
    folder: Path,
    upstream: str | None = None,
) -> AsyncIterator[World]:
    """The proxy, whose targets behave so from the start, and the service before it; `upstream`: what is behind.

    Raises ChildError.
    """
    file, log = folder / "penstock.yaml", folder / "service.log"
    ports = {"server": {"port": 0, "deregister_delay": 0}, "admin": {"port": 0}}
    tree = {**configuration, **{name: {**configuration.get(name, {}), **more} for name, more in ports.items()}}
    file.write_text(yaml.safe_dump(tree, sort_keys=False), "utf-8")
    behind = ("--upstream", upstream) if upstream else ()
    command = leashed("deploy.local.faultproxy", *behind)
    with Child("The fault proxy", command, folder / "proxy.log", announces=True) as proxy:
        endpoint = (await asyncio.to_thread(proxy.announcement))["endpoint"]
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
            for target, behaviour in behaviours.items():
                await _behave(session, endpoint, target, behaviour)
            command = [*_BINDING, *leashed("service.cli", "serve", "--config", file)]
            environment = isolated(os.environ, endpoint)
            with Child("Penstock", command, log, environment, grace_seconds=30) as service:
                serving = await asyncio.to_thread(service.logged, "serving")
                yield World(session, endpoint, proxy, service, serving["address"], serving["admin"])
                service.check()


async def _behave(session: aiohttp.ClientSession, endpoint: str, target: str, behaviour: Behaviour) -> None:
    async with session.put(f"{endpoint}/_behaviour/{target}", data=msgspec.json.encode(behaviour)) as answer:
        answer.raise_for_status()


_BINDING: list[str] = []
"""The command before the service's own that binds it to its core."""


def divide_cores() -> None:
    """Give the first core to services that are started from now on, the others to everything else, if it can be."""
    if not hasattr(os, "sched_getaffinity") or shutil.which("taskset") is None:
        return
    first, *others = sorted(os.sched_getaffinity(0))
    if others:
        os.sched_setaffinity(0, others)
        _BINDING[:] = ["taskset", "-c", str(first)]
