"""Dead letters in the folder of a file sink, which a running service may be writing to: no lock of its is touched.

Finished files never change, so those are written anew without what is settled, under another name that then takes the
file's place. From the file that is still open nothing is taken: what is settled in it stands on the list of settled
ones until a later run finds the file finished.
"""

import asyncio
import hashlib
import os
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Self

from service.dlq.reader import Stored, StoreError
from service.dlq.settled import Settled
from service.sinks.file import File
from service.sinks.file_folder import DONE, OPEN, explain


class FileReader:
    """A record is named by its content: the same line twice is one letter."""

    deletes = True

    def __init__(self, name: str, config: File.Config, settled: Settled) -> None:
        self._folder = config.path
        self.place = f"folder {config.path}"
        self.notes: list[str] = []
        self._settled = settled
        self._files: dict[str, set[Path]] = defaultdict(set)
        """By position, the files that hold it."""
        self._removed: set[str] = set()
        self._read_to_the_end = False

    async def letters(self) -> AsyncGenerator[Stored, None]:
        """The lines of all files, the oldest first; of the open one, up to its last newline."""
        if not self._folder.is_dir():
            raise StoreError(f"{self.place} does not exist: it is made when the service first starts; is it elsewhere?")
        try:
            names = sorted(path.name for pattern in (f"*{DONE}", f"*{OPEN}") for path in self._folder.glob(pattern))
            for name in names:
                for line in self._lines(self._folder / name):
                    position = _position(line)
                    known = position in self._files
                    self._files[position].add(self._folder / name)
                    if not known:
                        yield Stored(position, line)
        except OSError as error:
            raise StoreError(f"{self.place}: {error.strerror or error}: let this user read it") from error
        self._read_to_the_end = True

    def _lines(self, path: Path) -> Iterator[bytes]:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            # finished since the folder was listed
            file = path.with_suffix("").open("rb")
        with file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line[:-1]

    async def remove(self, stored: Stored) -> None:
        """Done at the end, for whole files."""
        self._removed.add(stored.position)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._removed:
            await asyncio.to_thread(self._rewrite)

    def _rewrite(self) -> None:
        files = {path for position in self._removed for path in self._files[position]}
        waiting = {path for path in files if path.name.endswith(OPEN)}
        try:
            for path in files - waiting:
                self._without_removed(path)
            _sync(self._folder)
        except OSError as error:
            self.notes.append(
                f"settled letters are still in {self.place} ({explain(error)}); {self._settled.path} knows of them"
            )
            return
        kept = {position for position in self._removed if self._files[position] & waiting}
        if kept:
            self.notes.append(
                f"{len(kept)} settled are in a file that is still written to; {self._settled.path} knows of them, "
                "and they are taken out by the next run that finds it finished"
            )
        if self._read_to_the_end:
            self._settled.forget(self._removed - kept)

    def _without_removed(self, path: Path) -> None:
        """Put a file without what is removed in this one's place; none if nothing is left."""
        made = path.with_name(f".{path.name}.rewritten")
        left = False
        with path.open("rb") as old, made.open("wb") as new:
            os.fchmod(new.fileno(), os.fstat(old.fileno()).st_mode & 0o777)
            for line in old:
                if _position(line.removesuffix(b"\n")) not in self._removed:
                    new.write(line)
                    left = True
            new.flush()
            os.fsync(new.fileno())
        if left:
            made.replace(path)
        else:
            made.unlink()
            path.unlink()


def _position(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:32]


def _sync(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
