"""A source that takes the files of a folder: each is a message, and is removed once all its events are safe."""

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import Field

from service.envelopes.contract import Message
from service.receipt import Settlement
from service.receiving.contract import PublicPort, SourceConfig
from service.receiving.flow import Flow
from service.receiving.handover import Handover
from service.receiving.received import Received
from service.sinks.contract import ProbeError
from service.telemetry.source import SourceGauges
from service.threads import off_loop

LOOK_SECONDS = 0.2
AGAIN_SECONDS = 60.0


class Folder:
    """Whoever writes here moves each file in once it is whole, under a name that no other has."""

    class Config(SourceConfig):
        """Settings of a folder."""

        path: Path = Field(description="The folder.")
        route: str = Field(description="Where its files go; `events` routes by type.")
        window: int = Field(default=1000, ge=1, description="Most files that are held and not removed.")

        def targets(self) -> Mapping[tuple[str | int, ...], str]:
            return {("route",): self.route}  # checked: it exists, and has dead letters that take `max_message` whole

        def mistakes(self, port: PublicPort) -> Mapping[tuple[str | int, ...], str]:
            return {("path",): "one process alone may take from a folder: `workers: 1`"} if port.workers > 1 else {}

    def __init__(self, name: str, config: Config, handover: Handover) -> None:  # no I/O here, see `probe`
        self._name, self._config, self._handover = name, config, handover
        self._flow = self._begun()
        self._held: dict[tuple[Flow, int], Path] = {}
        self._settled: list[Path] = []
        self._trouble: str | None = None
        self._stopped = False

    def _begun(self) -> Flow:
        return Flow(self._name, self._handover.route(self._config.route), self._handover, self)

    @property
    def _flows(self) -> set[Flow]:
        return {self._flow, *(flow for flow, _ in self._held)}

    async def __aenter__(self) -> Self:
        self._taking = asyncio.create_task(self._take(), name=f"take {self._name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        self._taking.cancel()
        await asyncio.gather(self._taking, return_exceptions=True)
        for flow in self._flows:
            flow.close()
        with contextlib.suppress(OSError):  # what is not removed comes again
            await self._remove()

    def stop(self) -> None:
        self._stopped = True
        self._handover.stop()
        for flow in self._flows:
            for number in flow.halt():  # what no lane has; the rest is still told of
                self._held.pop((flow, number), None)

    async def _take(self) -> None:
        while True:
            try:
                await self._remove()
                known = {*self._held.values(), *self._settled}
                room = self._config.memory - sum(flow.waiting_bytes for flow in self._flows)
                found = await off_loop(self._read, known, self._config.window - len(known), room)
                if not self._stopped:
                    self._offer(found)
                self._trouble = None
            except OSError as error:  # trouble, and no reason to end: it may come right
                self._trouble = f"{self._config.path} cannot be used: {error}"
            await asyncio.sleep(LOOK_SECONDS)

    def _read(self, known: Collection[Path], most: int, room: int) -> dict[Path, bytes]:
        found: dict[Path, bytes] = {}
        for path in sorted(self._config.path.iterdir()):
            if len(found) >= most or sum(map(len, found.values())) >= room:
                break
            if path not in known:
                found[path] = path.read_bytes()
        return found

    def _offer(self, found: Mapping[Path, bytes]) -> None:
        # the name is the same each time that the file comes, and so the id of an event that has no other
        messages = [Received(Message(value, {}), path.name, len(value) + 1000) for path, value in found.items()]
        for number, path in enumerate(found, self._flow.offer(messages)):
            self._held[self._flow, number] = path

    def settled(self, flow: Flow, numbers: Sequence[int]) -> None:  # only now may they be removed
        self._settled += [self._held.pop((flow, number)) for number in numbers]

    def failed(self, flow: Flow, number: int, why: Settlement) -> None:  # it has to come again, in another flow
        asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._held.pop, (flow, number), None)
        if flow is self._flow:
            self._flow = self._begun()

    async def _remove(self) -> None:
        done = list(self._settled)
        if done:
            await off_loop(_unlink, done)
            del self._settled[: len(done)]

    @property
    def gauges(self) -> SourceGauges:
        return SourceGauges(
            self._name,
            trouble=self._trouble,
            waiting_messages=sum(flow.waiting_messages for flow in self._flows),
            waiting_bytes=sum(flow.waiting_bytes for flow in self._flows),
            unsettled_messages=len(self._held),
        )

    async def probe(self) -> None:
        if not await off_loop(self._config.path.is_dir):
            raise ProbeError(f"{self._config.path} is no folder: create it, or correct `path`")


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
