"""The thread that commits: one transaction, and one sync of the disk, for all who wait when it begins.

While a commit runs, what comes forms the next one. What is settled waits a moment for company: were it lost, events
would be sent once more, no more than that.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, time
from typing import Final

from msgspec import Struct

from service.event import Event
from service.journal import record
from service.journal.loading import Unusable
from service.journal.reader import Row
from service.journal.state import Append
from service.journal.store import Store
from service.journal.volume import free_bytes

log = logging.getLogger(__name__)

SETTLED_SECONDS: Final = 0.005
"""How long what is settled waits to be committed, at most, beside the commit before it: the window of duplicates."""
ROW_BYTES: Final = 256 * 1024
"""Bodies in one row, but one at least: what one stuck event keeps on the disk."""
COMMIT_BYTES: Final = 8 * 2**20
"""Bodies in one commit, but one at least, so that nobody waits long for the others."""
LOOK_SECONDS: Final = 0.25
"""How often it is looked how full the disk is."""
AGAIN_SECONDS: Final = 1.0
"""After a commit that failed."""


class Request(Struct, eq=False):
    """Events of one request to one route that are to be stored."""

    stream: int
    first: int
    """Position of the first; the others follow."""
    events: Sequence[Event]
    size: int
    """Bytes of memory that they are charged."""


class Usage(Struct, frozen=True):
    """How full the journal is, and how far its legs are."""

    used_bytes: int
    free_bytes: int
    """Of the disk."""
    waiting: dict[int, int]
    """Events that a leg has not settled, by its id."""
    oldest_seconds: float
    """Since the oldest row that is left was stored; 0 if there is none."""
    optional_share: float
    """Part of the stored events that only best-effort legs still wait for."""


def usage_of(store: Store, folder: Path) -> Usage:
    """How full the journal in `folder` is now. Raises sqlite3.Error or OSError."""
    streams = store.streams.values()
    stored = sum(stream.waiting for stream in streams)
    oldest = store.oldest()
    return Usage(
        store.used_bytes(),
        free_bytes(folder),
        {leg.id: stream.waiting_at(leg) for stream in streams for leg in stream.legs.values()},
        max(0.0, time() - oldest) if oldest is not None else 0.0,
        sum(stream.waiting_for_optional() for stream in streams) / max(1, stored),
    )


class Committed(Struct, frozen=True):
    """What became of one transaction."""

    requests: Sequence[Request]
    seconds: float
    error: str | None = None
    """Why nothing of it was stored, or may have been; None if all was."""


class Writer:
    """The thread. `put`, `settle` and `close` are called by the loop, which hears of each transaction."""

    def __init__(
        self,
        path: Path,
        store: Store,
        loop: asyncio.AbstractEventLoop,
        committed: Callable[[Committed], None],
        looked: Callable[[Usage], None],
    ) -> None:
        """`store` is the thread's from now on. `committed` and `looked` are called in the loop."""
        self._path = path
        self._file = _identity(path)
        self._store: Store | None = store
        self._max_bytes = store.max_bytes
        self._loop = loop
        self._committed = committed
        self._looked = looked
        self._changed = threading.Condition()
        self._requests: list[Request] = []
        self._settled: dict[int, list[tuple[int, int]]] = {}
        self._settled_at = 0.0
        self._ending = False
        self._last_look = 0.0
        self._began: float | None = None
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def put(self, requests: Sequence[Request]) -> None:
        """Store these, in this order; those of a stream have positions that follow each other."""
        with self._changed:
            self._requests += requests
            self._changed.notify()

    def settle(self, settled: dict[int, list[tuple[int, int]]]) -> None:
        """Note ranges of positions, by leg, soon."""
        with self._changed:
            if not self._settled:
                self._settled_at = monotonic()
                self._changed.notify()
            for leg, ranges in settled.items():
                self._settled.setdefault(leg, []).extend(ranges)

    @property
    def busy_seconds(self) -> float:
        """How long the commit that runs now has taken; 0 if none runs."""
        return monotonic() - began if (began := self._began) is not None else 0.0

    def close(self) -> None:
        """Commit what is there, and end. Blocks until the thread has ended."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()

    # --- the thread

    def _run(self) -> None:
        while True:
            requests, settled, ending = self._next()
            if requests or settled:
                self._commit(requests, settled, ending)
            self._look()
            if ending and not self._requests and (self._store is None or not self._settled):
                break
        if self._store is not None:
            try:
                self._store.close()
            except sqlite3.Error as error:
                log.warning(
                    "the journal could not be closed cleanly; its log is read at the next start",
                    extra={"detail": str(error)},
                )

    def _next(self) -> tuple[list[Request], dict[int, list[tuple[int, int]]], bool]:
        """What is to be committed now; waits for something, or for the next look."""
        with self._changed:
            if not self._ending and not self._requests:
                if self._settled:
                    self._changed.wait(max(0.0, self._settled_at + SETTLED_SECONDS - monotonic()))
                else:
                    self._changed.wait(LOOK_SECONDS)
                    if self._settled and not self._requests and not self._ending:
                        self._changed.wait(SETTLED_SECONDS)
            size = taken = 0
            for request in self._requests:
                if taken and size + request.size > COMMIT_BYTES:
                    break
                size += request.size
                taken += 1
            requests, self._requests = self._requests[:taken], self._requests[taken:]
            settled, self._settled = self._settled, {}
            return requests, settled, self._ending

    def _commit(self, requests: list[Request], settled: dict[int, list[tuple[int, int]]], ending: bool) -> None:
        self._began = began = monotonic()
        error = None
        try:
            self._demand_file()
            if self._store is None or self._store.broken:
                self._reopen()
            assert self._store is not None
            self._store.commit(rows_of(requests), settled)
        except Exception as trouble:
            # whatever an event, or the file, is found to be: the thread serves all others, and must not end
            error = type(trouble).__name__
            if isinstance(trouble, sqlite3.Error | Unusable | OSError):
                error = str(trouble) or error
            else:
                log.critical("a commit of the journal could not be made", exc_info=True)
            with self._changed:
                for leg, ranges in settled.items():
                    self._settled[leg] = ranges + self._settled.get(leg, [])
                self._settled_at = monotonic()
        self._began = None
        self._tell(self._committed, Committed(requests, monotonic() - began, error))
        if error is not None:
            if ending:
                self._abandon()  # what is settled is lost, and sent once more
                return
            with self._changed:
                if not self._ending:
                    self._changed.wait(AGAIN_SECONDS)

    def _demand_file(self) -> None:
        """Raise Unusable if the file at the path is another than was opened: no start would find what is stored now."""
        if _identity(self._path) != self._file:
            raise Unusable(
                f"{self._path} was removed or replaced while in use: nothing is stored until the next start, and "
                "what waits in the removed file is delivered until this process ends"
            )

    def _reopen(self) -> None:
        """After a commit that failed nothing that SQLite has in memory counts: what is on the disk does."""
        self._abandon()
        self._store = Store.open(self._path, self._max_bytes)

    def _abandon(self) -> None:
        if self._store is not None:
            self._store.abandon()
            self._store = None

    def _look(self) -> None:
        now = monotonic()
        if now - self._last_look < LOOK_SECONDS or self._store is None or self._store.broken:
            return
        self._last_look = now
        try:
            usage = usage_of(self._store, self._path.parent)
        except Exception:  # a damaged page may hold anything: the thread serves all, and must not end
            log.warning("how full the journal is cannot be told", exc_info=True)
            return
        self._tell(self._looked, usage)

    def _tell(self, heard: Callable[..., None], *what: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(heard, *what)


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file at `path`; None if there is none. Raises OSError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def rows_of(requests: Sequence[Request]) -> list[Append]:
    """The rows of `requests`: those of a stream that follow each other share one, up to ROW_BYTES."""
    by_stream: dict[int, list[Request]] = {}
    for request in requests:
        by_stream.setdefault(request.stream, []).append(request)
    now = time()
    appends: list[Append] = []
    for stream, together in by_stream.items():
        for group in _groups(together):
            events = sum(len(request.events) for request in group)
            body = record.encode([request.events for request in group])
            appends.append(Append(stream, Row(group[0].first, events, now, body)))
    return appends


def _groups(requests: Sequence[Request]) -> list[list[Request]]:
    groups: list[list[Request]] = []
    size, following = 0, -1
    for request in requests:
        if not groups or request.first != following or size + request.size > ROW_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(request)
        size += request.size
        following = request.first + len(request.events)
    return groups
