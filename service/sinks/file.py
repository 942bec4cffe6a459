"""The file sink: rotated NDJSON in one folder. Delivered means that the line is on the disk (fsync)."""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, field_validator

from service.outcome import Outcome
from service.sinks.contract import Batch, Limits, ProbeError, SinkConfig
from service.sinks.file_folder import Folder, explain
from service.threads import off_loop
from service.units import ByteSize, ConfigPath, Duration

log = logging.getLogger(__name__)

LEAVING_SECONDS = 2.0
"""How long leaving waits for a disk that hangs. What it still holds was given up, and the file recovers by itself."""


class File:
    """Appends each event's body as one line. Writes that come together share one fsync."""

    class Config(SinkConfig):
        """Settings of a file sink."""

        path: ConfigPath = Field(description="Folder of the files; made if missing. Processes may share it.")
        max_bytes: ByteSize = Field(
            default=64 * 2**20, ge=1, description="A file is finished once it is at least this large."
        )
        max_age: Duration = Field(default=3600.0, gt=0, description="A file is finished at this age.")

        @field_validator("path")
        @classmethod
        def _can_be_a_folder(cls, path: Path) -> Path:
            there = next((each for each in (path, *path.parents) if os.path.lexists(each)), path)
            if os.path.lexists(there) and not there.is_dir():
                raise ValueError(f"{there} is no folder: give a folder, or a path at which one can be made")
            return path

        def exclusive(self) -> tuple[str, str]:
            """The folder, whichever way the path leads to it."""
            return "path", os.path.realpath(self.path)

    carries_attributes: ClassVar[bool] = False
    limits = Limits(1000, batch_bytes=16 * 2**20, event_bytes=16 * 2**20, overhead_bytes=1, request_factor=1.0)

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self._folder = Folder(config.path, config.max_bytes, config.max_age)
        self._waiting: list[tuple[Batch, asyncio.Future[list[Outcome]]]] = []
        self._probes: list[asyncio.Future[None]] = []
        self._writer: asyncio.Task[None] | None = None
        self._rotation: asyncio.TimerHandle | None = None
        self._leaving = False

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """Append the batch; returns once it is on the disk, or nothing of it is in the file."""
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        waiting = (batch, future)
        self._waiting.append(waiting)
        self._wake()
        try:
            return await future
        except asyncio.CancelledError:
            # given up: what no thread has taken yet must neither be kept nor written, long after its time
            self._waiting = [each for each in self._waiting if each is not waiting]
            raise

    def _wake(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._work(), name=f"file {self.name}")

    async def _work(self) -> None:
        """Append all that waits as one group, and so on until nothing waits: one thread at a time has the folder."""
        while True:
            probes, self._probes = self._probes, []
            if probes:
                await self._enter(probes)
            group, self._waiting = self._waiting, []
            await self._append(group)
            if not self._waiting and not self._probes:
                break
        self._plan_rotation()

    async def _enter(self, probes: list["asyncio.Future[None]"]) -> None:
        error: Exception | None = None
        try:
            await off_loop(self._folder.enter)
        except Exception as raised:  # noqa: BLE001 - handed to whoever asked, for the writer goes on
            error = raised
        for probe in probes:
            if probe.done():
                continue
            if error is None:
                probe.set_result(None)
            else:
                probe.set_exception(error)

    async def _append(self, group: list[tuple[Batch, "asyncio.Future[list[Outcome]]"]]) -> None:
        try:
            answers = await off_loop(self._folder.append, [batch for batch, _ in group])
        except Exception as error:  # noqa: BLE001 - a defect: nothing is known, and nobody may be left waiting
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), outcomes in zip(group, answers, strict=True):
            if not future.done():  # else given up meanwhile, and its lines may be in the file
                future.set_result(outcomes)

    def _plan_rotation(self) -> None:
        """A file that nothing is written to any more must be finished too; by leaving, if that comes first."""
        if self._rotation is not None:
            self._rotation.cancel()
            self._rotation = None
        if not self._leaving and (due := self._folder.due) is not None:
            self._rotation = asyncio.get_running_loop().call_later(due - time.monotonic(), self._wake)

    async def probe(self) -> None:
        """Raise ProbeError if the folder cannot be made or written to.

        Waits for the write that is under way: a disk that hangs has not come back because its folder is there.
        """
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._probes.append(answer)
        self._wake()
        try:
            await answer
        except OSError as error:
            raise ProbeError(f"{self._folder.path}: {explain(error)}") from error
        finally:
            self._probes = [each for each in self._probes if each is not answer]

    async def __aenter__(self) -> Self:
        """Make the folder and finish what a crash left open. If it is not usable yet, writes try again."""
        try:
            await off_loop(self._folder.enter)
        except OSError as error:
            log.warning("the folder cannot be used", extra={"sink": self.name, "detail": explain(error)})
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving = True
        if self._rotation is not None:
            self._rotation.cancel()
            self._rotation = None
        try:
            async with asyncio.timeout(LEAVING_SECONDS):
                if self._writer is not None:
                    await asyncio.shield(self._writer)
                await off_loop(self._folder.leave)
        except TimeoutError:
            log.warning(
                "the disk does not answer; the open file is finished at the next start", extra={"sink": self.name}
            )
