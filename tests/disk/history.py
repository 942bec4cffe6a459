"""What was asked of a journal's file, what of it was acknowledged when, and what must be found of it after a crash."""

import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from service.journal.loading import Unusable
from service.journal.ranges import Ranges
from service.journal.reader import Reader, Row, reading
from service.journal.state import Append, common
from service.journal.store import Store

ROUTES = {"orders": {"lake": True, "mirror": True, "loose": False}, "clicks": {"lake": True}}


class Asked(Struct, frozen=True):
    """A transaction was begun."""

    appends: Sequence[Append]
    settled: dict[int, list[tuple[int, int]]]


class Acknowledged(Struct, frozen=True):
    """It is on the disk, it was said."""

    asked: Asked


class Arranged(Struct, frozen=True):
    """Routes and sinks are on the disk, it was said."""


class Known:
    """What marks up to a moment tell."""

    def __init__(self, marks: Sequence[object]) -> None:
        self.asked: dict[tuple[int, int], Row] = {}
        self.stored: dict[tuple[int, int], Row] = {}
        """Rows by stream and first position."""
        self.may_be_settled: dict[int, Ranges] = {}
        self.settled: dict[int, Ranges] = {}
        self.arranged = False
        for mark in marks:
            match mark:
                case Asked():
                    self._note(mark, self.asked, self.may_be_settled)
                case Acknowledged(asked):
                    self._note(asked, self.stored, self.settled)
                case Arranged():
                    self.arranged = True
                case _:
                    raise AssertionError(mark)

    @staticmethod
    def _note(asked: Asked, rows: dict[tuple[int, int], Row], settled: dict[int, Ranges]) -> None:
        for append in asked.appends:
            rows[append.stream, append.row.first] = append.row
        for leg, ranges in asked.settled.items():
            for first, last in ranges:
                settled.setdefault(leg, Ranges()).add(first, last)

    def check(self, store: Store, path: Path) -> None:
        """Assert that `store`, of the file at `path`, has what was acknowledged, and nothing that was not asked."""
        with closing(reading(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if self.arranged:
            assert set(store.streams) == set(ROUTES)
        for stream in store.streams.values():
            rows = all_rows(path, stream.id)
            for row in rows.values():
                assert row.sound
                assert row == self.asked[stream.id, row.first], "a row that nobody stored"
            for leg in stream.legs.values():
                acknowledged = self.settled.get(leg.id, Ranges())
                assert list(common([acknowledged, leg.settled])) == list(acknowledged), "what was settled is back"
                may_be = self.may_be_settled.get(leg.id, Ranges())
                assert list(common([leg.settled, may_be])) == list(leg.settled), "settled, and nobody said so"
            for (of, first), row in self.stored.items():
                if of == stream.id and first not in rows:
                    legs = stream.legs.values()
                    assert all(leg.settled.within(first, row.last) == [(first, row.last)] for leg in legs), "lost"
            ends = [row.last for (of, _), row in self.stored.items() if of == stream.id]
            assert stream.last >= max(ends, default=0), "a position would be given twice"


class Script:
    """Stores and settles by chance, as the thread that writes does: after a failure the file is opened anew."""

    def __init__(self, path: Path, rng: random.Random, mark: Callable[[object], None], max_bytes: int) -> None:
        self._path = path
        self._rng = rng
        self._mark = mark
        self._max_bytes = max_bytes
        self._store: Store | None = None
        self._last = {1: 0, 2: 0}
        self._open: dict[int, Ranges] = {}
        """What each leg has not settled, of what was stored."""
        self._again: dict[int, list[tuple[int, int]]] = {}
        self._legs: dict[int, list[int]] = {}
        self.acknowledged = 0
        self.failed = 0

    def begin(self) -> None:
        """Make the file."""
        self._store = store = Store.open(self._path, self._max_bytes)
        store.arrange(ROUTES)
        self._mark(Arranged())
        for stream in store.streams.values():
            self._legs[stream.id] = [leg.id for leg in stream.legs.values()]

    def commit(self) -> None:
        """One transaction."""
        asked = Asked(self._appends(), self._settled())
        self._mark(asked)
        try:
            if self._store is None or self._store.broken:
                self._reopen()
            assert self._store is not None
            self._store.commit(asked.appends, asked.settled)
        except (sqlite3.Error, Unusable):
            self.failed += 1
            self._again = {leg: list(ranges) for leg, ranges in asked.settled.items()}
            for append in asked.appends:
                for leg in self._legs[append.stream]:
                    self._again.setdefault(leg, []).append((append.row.first, append.row.last))
            return
        self._mark(Acknowledged(asked))
        self.acknowledged += 1
        for append in asked.appends:
            for leg in self._legs[append.stream]:
                self._open.setdefault(leg, Ranges()).add(append.row.first, append.row.last)

    def close(self) -> None:
        """Close the file, whatever that meets."""
        if self._store is not None:
            self._store.abandon()

    def _reopen(self) -> None:
        self.close()
        self._store = None
        self._store = Store.open(self._path, self._max_bytes)

    def _appends(self) -> list[Append]:
        appends = []
        for _ in range(self._rng.randint(0, 3)):
            stream = self._rng.choice(list(self._last))
            events, size = self._rng.randint(1, 9), self._rng.choice([10, 500, 5_000, 30_000])
            first = self._last[stream] + 1
            self._last[stream] += events
            appends.append(Append(stream, Row(first, events, float(first), self._rng.randbytes(size))))
        return appends

    def _settled(self) -> dict[int, list[tuple[int, int]]]:
        settled, self._again = self._again, {}
        for leg, waiting in self._open.items():
            left = Ranges()
            for first, last in waiting:
                if self._rng.random() < 0.4:
                    left.add(first, last)
                    continue
                cut = self._rng.randint(first, last)
                settled.setdefault(leg, []).append((first, cut))
                if cut < last:
                    left.add(cut + 1, last)
            self._open[leg] = left
        return settled


def all_rows(path: Path, stream: int) -> dict[int, Row]:
    """The rows of a stream, by their first positions."""
    reader = Reader(path)
    try:
        return {row.first: row for row in reader.rows(stream, 1, 1 << 40)}
    finally:
        reader.close()
