"""The source in `examples/custom_source/`: somebody else's, under the same contract as ours."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self

from tests.contract.source_harness import SourceHarness


class FolderSourceHarness(SourceHarness):
    name: ClassVar[str] = "folder"

    async def __aenter__(self) -> Self:
        self._home = TemporaryDirectory()
        self._folder = Path(self._home.name, "incoming")
        self._folder.mkdir()
        self._sent: dict[str, bytes] = {}
        return self

    async def __aexit__(self, *_: object) -> None:
        self._home.cleanup()

    def settings(self, *, bounded: bool = False) -> dict[str, Any]:
        own = {"type": "examples.custom_source.folder:Folder", "path": str(self._folder), "route": "orders"}
        return own | {"window": self.most_held if bounded else 1000}

    async def send(self, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            whole = Path(self._home.name, f"{len(self._sent):06}")
            whole.write_bytes(body)
            self._sent[whole.name] = body
            whole.rename(self._folder / whole.name)

    async def acknowledged(self, count: int) -> list[bytes]:
        return await self._until(lambda acknowledged: len(acknowledged) >= count)

    async def acknowledged_now(self) -> list[bytes]:
        return [body for name, body in self._sent.items() if not (self._folder / name).exists()]

    async def available(self, count: int) -> None:
        await self._until(lambda acknowledged: len(self._sent) - len(acknowledged) >= count)

    async def taken(self, count: int) -> None:
        await self._service.until(lambda metrics: metrics.total("penstock_source_messages_unsettled") >= count)

    async def taken_now(self) -> int:
        return (await self._service.metrics()).total("penstock_source_messages_unsettled")

    def fail(self) -> None:
        self._folder.rename(self._folder.with_name("away"))

    def recover(self) -> None:
        self._folder.with_name("away").rename(self._folder)

    async def _until(self, holds: Callable[[list[bytes]], bool]) -> list[bytes]:
        while not holds(found := await self.acknowledged_now()):
            await asyncio.sleep(0.005)
        return found
