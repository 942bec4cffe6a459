"""The list of settled dead letters: which were confirmed, and must never be sent again, whatever the store can do.

One file per store, lines of `+"position"` and `-"position"` (taken away from the store, so not needed any more). A line
is written once the service has answered, before anything else is done, so a run may be killed at any point.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

import orjson

from service.dlq.reader import StoreError


class InUseError(Exception):
    """Another run works on the same store."""


class Settled:
    """The positions that are settled. Without `writing` the file is only read, and may be missing."""

    def __init__(self, path: Path, writing: bool) -> None:
        self.path = path
        self._writing = writing
        self._file: int | None = None
        self._positions: set[str] = set()

    def __enter__(self) -> Self:
        """Raises OSError, or InUseError."""
        if self._writing:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._file)
                raise InUseError(f"{self.path} is in use: another run works on these dead letters") from None
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            text = b""
        whole = text.rfind(b"\n") + 1
        if self._file is not None and whole < len(text):
            os.ftruncate(self._file, whole)  # a line that a crash cut off
        for line in text[:whole].splitlines():
            self._read(line)
        return self

    def __exit__(self, *_: object) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                if not self._positions:
                    os.ftruncate(file, 0)
                os.fsync(file)
            except OSError:
                # the system has the lines; what a power failure takes of them is sent again, as ever
                pass
            finally:
                os.close(file)

    def __contains__(self, position: object) -> bool:
        return position in self._positions

    def __len__(self) -> int:
        return len(self._positions)

    def add(self, position: str) -> None:
        """Note that a letter is settled. On return the operating system has it: it survives the end of the process.

        Raises StoreError if it cannot be noted: then it counts as not settled.
        """
        self._write(b"+" + orjson.dumps(position) + b"\n")
        self._positions.add(position)

    def forget(self, positions: Iterable[str]) -> None:
        """Note that the store does not have these any more. Raises StoreError."""
        gone = [position for position in positions if position in self._positions]
        self._write(b"".join(b"-" + orjson.dumps(position) + b"\n" for position in gone))
        self._positions.difference_update(gone)

    def _write(self, lines: bytes) -> None:
        """All of `lines`, or, raising StoreError, none of them: half a line would spoil the next one."""
        assert self._file is not None, "opened for reading"
        before = os.fstat(self._file).st_size
        view = memoryview(lines)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, before)
            raise StoreError(
                f"{self.path}: {error.strerror}: the list of settled letters cannot be written, so the run ends here; "
                "mend that and run it again: what was confirmed last is sent once more, under the same id"
            ) from error

    def _read(self, line: bytes) -> None:
        try:
            position = orjson.loads(line[1:])
        except orjson.JSONDecodeError:
            return
        if line.startswith(b"+"):
            self._positions.add(position)
        else:
            self._positions.discard(position)


def file_of(folder: Path, sink: str, identity: str) -> Path:
    """The file for one store. `identity` tells it from another one that had the same sink's name."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", sink)
    return folder / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.settled"
