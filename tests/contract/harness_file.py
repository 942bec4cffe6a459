"""The file sink on a folder of its own; the system refuses to let files grow, as a full disk does."""

import resource
import tempfile
from pathlib import Path
from typing import ClassVar, Self

from service.event import Event
from service.sinks.file import File
from tests.contract.harness import Fault, Harness, Received, event

SIZE = resource.RLIMIT_FSIZE


class FileHarness(Harness):
    """Fails by EFBIG in the middle of a line, refuses what is not JSON, and lacks a folder where a file is."""

    name = "file"
    faults: ClassVar[frozenset[Fault]] = frozenset({Fault.CALL, Fault.REFUSE, Fault.MISSING})

    async def __aenter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory()
        self._path = Path(self._temporary.name, "events")
        self._limits = resource.getrlimit(SIZE)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._temporary.cleanup()

    def sink(self) -> File:
        return File("file", File.Config(type="file", path=self._path))

    async def received(self) -> list[Received]:
        files = sorted(self._path.glob("*.ndjson*"))
        return [Received(line) for file in files for line in file.read_bytes().split(b"\n")[:-1]]

    async def fail_calls(self) -> None:
        largest = max((file.stat().st_size for file in self._path.glob("*.open")), default=0)
        resource.setrlimit(SIZE, (largest + 7, self._limits[1]))

    async def recover(self) -> None:
        resource.setrlimit(SIZE, self._limits)

    def poison(self, number: int) -> Event:
        return event(number, b"\x00 not JSON %d" % number)

    def missing(self) -> File:
        occupied = Path(self._temporary.name, "occupied")
        config = File.Config(type="file", path=occupied / "folder")
        occupied.write_bytes(b"")  # later: what is in the way already is a mistake of the configuration
        return File("file", config)
