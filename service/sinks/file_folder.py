"""A folder of NDJSON files. Each process appends to a file of its own, fsync by fsync.

The file being written is `<utc>-<n>.ndjson.open`, locked by who writes it; finished, it is renamed to
`<utc>-<n>.ndjson` and never changes again. An open file without a lock is one that a crash left: whoever next opens a
file finishes it. A finished file, and an open one up to its last newline, holds whole lines of JSON, whatever crashed.
"""

import errno
import fcntl
import itertools
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
    return f"{error.strerror or error}; free space, or make the folder writable for this user"


class Folder:
    """The folder and the file open in it. Blocking, for one thread at a time; `append` never raises OSError."""

    def __init__(self, path: Path, max_bytes: int, max_age: float) -> None:
        self.path = path
        self.due: float | None = None
        """Monotonic time at which the open file is to be finished; None if none is open."""
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._file: int | None = None
        self._name = ""
        self._size = 0
        """Bytes of the open file that are known to be on the disk; the rest was never acknowledged."""

    def enter(self) -> None:
        """Make the folder, and finish what crashes left open in it. Raises OSError if it cannot be used."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        self._recover()

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
        """Finish the open file."""
        self._finish()

    def _append(self, data: bytes) -> None:
        if self._file is not None and not _stands(self._file, self._path(OPEN)):
            self._close()  # somebody removed it, or the folder: what we would write then is nowhere
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
        self.enter()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        file, numbers = None, itertools.count()
        while file is None:
            self._name = f"{stamp}-{next(numbers)}"
            file = self._made()
        self._file = file
        self._size = 0
        self.due = time.monotonic() + self._max_age
        self._sync_folder()
        return file

    def _made(self) -> int | None:
        """A new file under the present name, locked; None if the name is somebody else's."""
        if self._path(DONE).exists():
            return None
        try:
            file = os.open(self._path(OPEN), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return None
        ours = False
        try:
            # looked for once more: it may have been finished in between, and must not be replaced
            ours = _locked(file) and _stands(file, self._path(OPEN)) and not self._path(DONE).exists()
        finally:
            if not ours:
                os.close(file)  # empty, and not locked: whoever opens a file next removes it
        return file if ours else None

    def _path(self, suffix: str) -> Path:
        return self.path / f"{self._name}{suffix}"

    def _finish(self) -> None:
        """Close the open file under its final name. If that fails, `_recover` does it later."""
        if self._file is None:
            return
        try:
            self._path(OPEN).rename(self._path(DONE))
            self._sync_folder()
        except OSError as error:
            log.warning("a file could not be finished", extra={"path": str(self.path), "detail": explain(error)})
        self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        self.due = None
        if file is not None:
            os.close(file)

    def _recover(self) -> None:
        """Finish the files that a crash left open, up to their last newline: the rest was never acknowledged."""
        left = False
        for path in sorted(self.path.glob(f"*{OPEN}")):
            try:
                file = path.open("r+b")
            except FileNotFoundError:
                continue  # finished meanwhile
            with file:
                if not _locked(file.fileno()) or not _stands(file.fileno(), path):
                    continue  # being written, or finished meanwhile
                left = True
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


def _locked(file: int) -> bool:
    """Whether the file is ours alone now, until it is closed, however this process ends (flock(2))."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stands(file: int, path: Path) -> bool:
    """Whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


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
