"""A folder of NDJSON files that one process at a time appends to, fsync by fsync.

The file being written is `<utc>-<n>.ndjson.open`; finished, it is renamed to `<utc>-<n>.ndjson` and never changes
again. A finished file, and an open one up to its last newline, holds whole lines of JSON, whatever crashed.
"""

import fcntl
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from service.outcome import DELIVERED, Outcome, Reason, Rejected, Retry
from service.sinks.contract import Batch

log = logging.getLogger(__name__)

NOT_JSON = Rejected(Reason.REFUSED_CONTENT, "the body is not JSON: a line of NDJSON cannot hold it")

OPEN: Final = ".ndjson.open"
DONE: Final = ".ndjson"
_NEWLINES: Final = bytes.maketrans(b"\r\n", b"  ")


def explain(error: OSError) -> str:
    """What is wrong and what to do."""
    if isinstance(error, BlockingIOError):
        return "another process writes to this folder; give each its own `path`"
    return f"{error.strerror or error}; free space, or make the folder writable for this user"


class Folder:
    """The folder and the file open in it. Blocking, for one thread at a time; `append` never raises OSError."""

    def __init__(self, path: Path, max_bytes: int, max_age: float) -> None:
        self.path = path
        self.due: float | None = None
        """Monotonic time at which the open file is to be finished; None if none is open."""
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._lock: int | None = None
        self._file: int | None = None
        self._name = ""
        self._size = 0
        """Bytes of the open file that are known to be on the disk; the rest was never acknowledged."""

    def enter(self) -> None:
        """Make the folder, take its lock and finish what a crash left open; nothing if all that is so already."""
        if self._holds_lock():
            return
        self._give_back()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._recover()
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def append(self, batches: Sequence[Batch]) -> list[list[Outcome]]:
        """Append the batches with one fsync for all; what failed is Retry, and not in the file."""
        if self.due is not None and time.monotonic() >= self.due:
            self._finish()
        answers: list[list[Outcome]] = []
        lines: list[bytes] = []
        for batch in batches:
            outcomes: list[Outcome] = []
            for event in batch.events:
                taken = _is_json(event.body)
                if taken:
                    # a raw newline in JSON can only stand between its tokens
                    lines += (event.body.translate(_NEWLINES), b"\n")
                outcomes.append(DELIVERED if taken else NOT_JSON)
            answers.append(outcomes)
        if lines:
            try:
                self._append(b"".join(lines))
            except OSError as error:
                failed = Retry(Reason.UNAVAILABLE, detail=explain(error))
                return [[failed if each is DELIVERED else each for each in outcomes] for outcomes in answers]
            if self._size >= self._max_bytes:
                self._finish()
        return answers

    def leave(self) -> None:
        """Finish the open file and give the folder back."""
        self._finish()
        self._give_back()

    @property
    def _lock_path(self) -> Path:
        return self.path / ".lock"

    def _holds_lock(self) -> bool:
        """False also if the folder was taken away from beneath us: what we would write then is nowhere."""
        if self._lock is None:
            return False
        try:
            return os.path.samestat(os.stat(self._lock_path), os.fstat(self._lock))
        except FileNotFoundError:
            return False

    def _give_back(self) -> None:
        self._close()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _append(self, data: bytes) -> None:
        self.enter()
        if self._file is not None and not os.fstat(self._file).st_nlink:
            self._close()  # somebody removed it
        file = self._open() if self._file is None else self._file
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
        except OSError:
            self._take_back(file)
            raise
        try:
            _sync(file)
        except OSError:
            # After a failed fsync nobody knows what of the pages is on the disk: go on in another file.
            self._take_back(file)
            self._close()
            raise
        self._size += len(data)

    def _take_back(self, file: int) -> None:
        """Cut off what was written of a failed append. What cannot be cut off now, `_recover` does."""
        try:
            os.ftruncate(file, self._size)
            os.lseek(file, self._size, os.SEEK_SET)
        except OSError:
            self._close()

    def _open(self) -> int:
        # a file that was given up is finished first, so that the folder holds one open file at most
        self._recover()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        number = 0
        while any((self.path / f"{stamp}-{number}{suffix}").exists() for suffix in (OPEN, DONE)):
            number += 1
        self._name = f"{stamp}-{number}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(self.path / f"{self._name}{OPEN}", flags, 0o600)
        self._size = 0
        self.due = time.monotonic() + self._max_age
        self._sync_folder()
        return self._file

    def _finish(self) -> None:
        """Close the open file under its final name. If that fails, `_recover` does it later."""
        if self._file is None:
            return
        self._close()
        try:
            (self.path / f"{self._name}{OPEN}").rename(self.path / f"{self._name}{DONE}")
            self._sync_folder()
        except OSError as error:
            log.warning("a file could not be finished", extra={"path": str(self.path), "detail": explain(error)})

    def _close(self) -> None:
        file, self._file = self._file, None
        self.due = None
        if file is not None:
            os.close(file)

    def _recover(self) -> None:
        """Finish the files that a crash left open, up to their last newline: the rest was never acknowledged."""
        left = sorted(self.path.glob(f"*{OPEN}"))
        for path in left:
            with path.open("r+b") as file:
                whole = _whole_lines(file.fileno())
                file.truncate(whole)
                _sync(file.fileno())
            if whole:
                path.rename(path.with_suffix(""))
            else:
                path.unlink()
        if left:
            self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def _whole_lines(file: int) -> int:
    """The size of the file up to and with its last newline."""
    end = os.fstat(file).st_size
    while end:
        start = max(0, end - 2**16)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _sync(file: int) -> None:
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:  # macOS: fsync alone leaves the data in the drive's cache (fsync(2), macOS)
        fcntl.fcntl(file, full)
    else:
        os.fsync(file)
