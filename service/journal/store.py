"""The journal's file: SQLite in WAL mode, each commit synced. Only one thread writes; others may read.

    streams   a route whose events are stored; its events have positions from 1 on
    legs      a sink that a stream's events go to
    batches   rows of events with consecutive positions
    settled   ranges of positions that a leg is done with, wherever they are

A row goes when every leg has settled all of it. What is settled is kept as ranges, so that one event that is stuck
costs one range, and nothing behind it is sent again. Positions of rows that went stay settled: the next begin above.
"""

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from service.journal.loading import APPLICATION, VERSION, Unusable, demand_known, loaded, stored_at, used_bytes
from service.journal.ranges import Ranges
from service.journal.reader import place
from service.journal.record import checksum
from service.journal.state import Append, Leg, Settled, Stream

PAGE_BYTES: Final = 8192
LOG_BYTES: Final = 4 * 2**20
"""Size of the log from which on it is copied into the file, in a journal of 32 MiB and more. Commits wait meanwhile:
p99 of stored batches was 48 ms with 16 MiB, 18 with 4, 9 with 1, which syncs four times as often
(`python -m bench.journal`)."""
LOG_SHARE: Final = 8
"""The log takes at most one part in so many of what the journal may have: it keeps its size when that is empty."""
_CHUNK_BYTES: Final = 2**20
_MOST_ROWS: Final = 1000
"""Rows in one statement: builds of SQLite differ in how many parameters they take, 32,766 at least since 3.32."""
_SCHEMA: Final = """
CREATE TABLE streams (id INTEGER PRIMARY KEY, route TEXT NOT NULL UNIQUE);
CREATE TABLE legs (
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL REFERENCES streams, sink TEXT NOT NULL, required INTEGER NOT NULL,
    UNIQUE (stream, sink)
);
CREATE TABLE batches (
    place INTEGER PRIMARY KEY, events INTEGER NOT NULL, stored_at REAL NOT NULL, checksum INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE settled (
    leg INTEGER NOT NULL REFERENCES legs, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (leg, first)
) WITHOUT ROWID;
"""


class Store:
    """The file, open. Its methods raise sqlite3.Error when the disk fails; then it is `broken`."""

    def __init__(self, connection: sqlite3.Connection, path: Path, max_bytes: int) -> None:
        self._sql = connection
        self._path = path
        self.max_bytes = max_bytes
        self.broken = False
        """Whether a commit failed: what is in memory is not what is in the file, and it must be opened anew."""
        self.streams: dict[str, Stream] = {}
        self._by_leg: dict[int, tuple[Stream, Leg]] = {}
        self._load()

    @classmethod
    def open(cls, path: Path, max_bytes: int = LOG_SHARE * LOG_BYTES) -> Self:
        """Open the file at `path`, or make it; what a crash left half-written in its log is dropped.

        The caller has the lock of its folder. `max_bytes`: what the journal may take of the disk, its log included.
        Raises Unusable if it is no journal, one of a later version, or damaged beyond SQLite's recovery.
        """
        connection = None
        try:
            _secure_log(path)
            connection = _connected(path)
            _demand_journal(connection, path)
            _set_up(connection, min(LOG_BYTES, max_bytes // LOG_SHARE))
            return cls(connection, path, max_bytes)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if not isinstance(error, sqlite3.Error | OSError):
                raise
            raise Unusable(
                f"{path} cannot be opened: {error}; if the disk is sound, move the file away to start with an empty "
                "journal, and keep it: `penstock journal verify` says what can be read of it"
            ) from error

    def close(self) -> None:
        """Close the file; its log is copied into it."""
        self._sql.close()

    def abandon(self) -> None:
        """Close the file after a failure, whatever that meets."""
        with suppress(sqlite3.Error):
            self._sql.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- who is there

    def _load(self) -> None:
        self.streams = loaded(self._sql)
        for stream in self.streams.values():
            for leg in stream.legs.values():
                self._by_leg[leg.id] = stream, leg

    def _add_leg(self, stream: Stream, leg: Leg) -> None:
        stream.legs[leg.sink] = leg
        self._by_leg[leg.id] = stream, leg

    def arrange(self, routes: Mapping[str, Mapping[str, bool]]) -> None:
        """Make this what the store has: by route, its sinks, and whether each is required.

        A sink that is new to a route gets what is stored from now on. What is gone is forgotten if nothing waits for
        it; else it stays, an orphan (`orphans`).
        """
        self._sql.execute("BEGIN IMMEDIATE")
        for route, sinks in routes.items():
            stream = self.streams.get(route)
            if stream is None:
                id_ = self._sql.execute("INSERT INTO streams (route) VALUES (?)", (route,)).lastrowid
                assert id_ is not None
                stream = self.streams[route] = Stream(id_, route, {}, Ranges(), 0)
            for sink, required in sinks.items():
                if (leg := stream.legs.get(sink)) is not None:
                    leg.required = required
                    self._sql.execute("UPDATE legs SET required = ? WHERE id = ?", (required, leg.id))
                    continue
                id_ = self._sql.execute(
                    "INSERT INTO legs (stream, sink, required) VALUES (?, ?, ?)", (stream.id, sink, required)
                ).lastrowid
                assert id_ is not None
                self._add_leg(stream, Leg(id_, sink, required, Ranges()))
                if stream.last:
                    self._settle({id_: [(1, stream.last)]})
        for stream in list(self.streams.values()):
            kept = routes.get(stream.route, {})
            for sink, leg in list(stream.legs.items()):
                if sink not in kept and not stream.waiting_at(leg):
                    self._forget(stream, leg)
            if stream.route not in routes and not stream.legs:
                self._sql.execute("DELETE FROM streams WHERE id = ?", (stream.id,))
                del self.streams[stream.route]
        self._sql.execute("COMMIT")

    def holds(self, route: str) -> bool:
        """Whether events of `route` wait here."""
        return route in self.streams and self.streams[route].waiting > 0

    def orphans(self, routes: Mapping[str, Mapping[str, bool]]) -> dict[tuple[str, str], int]:
        """Events that wait for what `routes` does not have, by (route, sink)."""
        return {
            (stream.route, leg.sink): waiting
            for stream in self.streams.values()
            for leg in stream.legs.values()
            if leg.sink not in routes.get(stream.route, {}) and (waiting := stream.waiting_at(leg))
        }

    def oldest(self) -> float | None:
        """When the oldest row was stored (Unix time); None if there is none."""
        moments = [stored_at(self._sql, stream, 1) for stream in self.streams.values()]
        return min((each for each in moments if each is not None), default=None)

    def _forget(self, stream: Stream, leg: Leg) -> None:
        self._sql.execute("DELETE FROM settled WHERE leg = ?", (leg.id,))
        self._sql.execute("DELETE FROM legs WHERE id = ?", (leg.id,))
        del stream.legs[leg.sink], self._by_leg[leg.id]

    # --- what is written

    def commit(self, appends: Iterable[Append], settled: Settled) -> None:
        """Store rows, note what is settled and drop the rows that nobody needs any more: all of it, or nothing.

        When this returns, all is on the disk.
        """
        run = self._sql.execute
        try:
            run("BEGIN IMMEDIATE")
            rows = [
                (place(append.stream, row.first), row.events, row.stored_at, checksum(row.body), row.body)
                for append in appends
                for row in (append.row,)
            ]
            if rows:
                # one statement: each gives the interpreter's lock away once, and may wait for it
                self._insert("INSERT INTO batches VALUES", rows)
            new = {leg: list(ranges) for leg, ranges in settled.items()}
            self._settle(new)
            run("COMMIT")
        except BaseException:
            self.broken = True
            with suppress(sqlite3.Error):
                self._sql.rollback()
            raise
        by_id = {stream.id: stream for stream in self.streams.values()}
        for append in appends:
            stream = by_id[append.stream]
            stream.last = max(stream.last, append.row.last)

    def _settle(self, settled: Mapping[int, Sequence[tuple[int, int]]]) -> None:
        gone: list[tuple[int, int]] = []
        kept: dict[tuple[int, int], int] = {}
        for id_, ranges in settled.items():
            stream, leg = self._by_leg[id_]
            for first, last in ranges:
                swallowed = leg.settled.add(first, last)
                gone += [(id_, each) for each in swallowed]
                for each in swallowed:
                    kept.pop((id_, each), None)
                begin, end = leg.settled.around(first)
                kept[id_, begin] = end
                self._done(stream, leg, first, last)
        gone = [each for each in gone if each not in kept]
        if gone:
            self._insert("DELETE FROM settled WHERE (leg, first) IN (VALUES", gone, ")")
        if kept:
            self._insert("INSERT OR REPLACE INTO settled VALUES", [(*which, last) for which, last in kept.items()])

    def _insert(self, before: str, rows: Sequence[tuple[object, ...]], after: str = "") -> None:
        """Run one statement with all rows, or as few as there may be parameters."""
        row = f"({', '.join('?' * len(rows[0]))})"
        for start in range(0, len(rows), _MOST_ROWS):
            some = rows[start : start + _MOST_ROWS]
            values = [value for each in some for value in each]
            self._sql.execute(f"{before} {', '.join([row] * len(some))} {after}", values)

    def _done(self, stream: Stream, leg: Leg, first: int, last: int) -> None:
        """Drop the rows of `first` to `last`, which `leg` has settled, that all others have settled too."""
        parts = [(first, last)]
        for other in stream.legs.values():
            if other is not leg:
                parts = [each for part in parts for each in other.settled.within(*part)]
        for part in parts:
            stream.done.add(*part)
            begin, end = stream.done.around(part[0])
            # rows before it went when it was done with them, so nothing is looked through twice
            self._sql.execute(
                "DELETE FROM batches WHERE place BETWEEN ? AND ? AND place + events - 1 <= ?",
                (place(stream.id, begin), place(stream.id, end), place(stream.id, end)),
            )

    # --- what it is like

    def used_bytes(self) -> int:
        """Bytes that rows take, in the file and in its log."""
        return used_bytes(self._sql, self._path)


def _secure_log(path: Path) -> None:
    """Write the log once more, as it is read. What a sync that failed has left unwritten is read like the rest, taken
    for synced, and written by no later sync: after a loss of power all that follows it would be gone.

    Raises Unusable if there is a log, and not the file that it belongs to; OSError.
    """
    log = path.with_name(path.name + "-wal")
    if not log.exists() or not log.stat().st_size:
        return
    if not path.exists() or not path.stat().st_size:
        raise Unusable(f"{path} is missing, and {log.name} beside it holds events: put it back, or move both away")
    with log.open("r+b", buffering=0) as file:
        while some := file.read(_CHUNK_BYTES):
            file.seek(-len(some), os.SEEK_CUR)
            file.write(some)
        os.fsync(file.fileno())


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    return connection


def _demand_journal(sql: sqlite3.Connection, path: Path) -> None:
    application = sql.execute("PRAGMA application_id").fetchone()[0]
    tables = [name for (name,) in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if not tables and not application:
        sql.execute("PRAGMA journal_mode = WAL")
        sql.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; {_SCHEMA} COMMIT;"
        )
    demand_known(sql, path)


def _set_up(sql: sqlite3.Connection, log_bytes: int) -> None:
    sql.execute("PRAGMA journal_mode = WAL")
    sql.execute("PRAGMA synchronous = FULL")
    sql.execute("PRAGMA secure_delete = OFF")
    sql.execute(f"PRAGMA wal_autocheckpoint = {log_bytes // PAGE_BYTES}")
    sql.execute(f"PRAGMA journal_size_limit = {log_bytes}")
