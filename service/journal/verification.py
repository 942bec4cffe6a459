"""Whether all that a journal's file holds can be read. Nothing is written, and nothing is mended."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from service.journal import record
from service.journal.loading import Unusable, demand_known, loaded
from service.journal.opening import FILE
from service.journal.reader import BODY, POSITIONS, reading
from service.units import counted

_ROWS_AT_ONCE: Final = 16
"""In one transaction: a reader that stays keeps the log from being cut."""
_MOST_TOLD: Final = 20
"""Sentences about rows; the rest is counted."""

_Raw = tuple[int, int, int, bytes | None]
"""place, events, checksum, body; none if it is on a damaged page"""


class Finding(Struct):
    """What was found in one file."""

    rows: int = 0
    """That can be read."""
    events: int = 0
    """In these."""
    damaged_rows: int = 0
    damaged_events: int = 0
    """That these say they have."""
    mistakes: list[str] = []

    @property
    def sound(self) -> bool:
        """Whether all is well."""
        return not self.mistakes and not self.damaged_rows

    def note(self, mistake: str) -> None:
        """One more, if it is not one too many."""
        if len(self.mistakes) <= _MOST_TOLD:
            self.mistakes.append(mistake if len(self.mistakes) < _MOST_TOLD else "and so on")


def verify(folder: Path) -> Finding:
    """What is wrong in the file of `folder`, and how much is not. It reads all of it."""
    finding = Finding()
    path = folder / FILE
    try:
        sql = reading(path)
    except sqlite3.Error as error:
        finding.note(f"it cannot be opened: {error}")
        return finding
    try:
        for line in _lines(sql):
            finding.note(f"SQLite: {line}")
        demand_known(sql, path)
        _read(sql, finding)
    except (sqlite3.Error, Unusable) as error:
        finding.note(str(error))
    finally:
        sql.close()
    return finding


def _lines(sql: sqlite3.Connection) -> list[str]:
    try:
        return [line for (line,) in sql.execute("PRAGMA integrity_check") if line != "ok"]
    except sqlite3.Error as error:
        return [str(error)]


def _read(sql: sqlite3.Connection, finding: Finding) -> None:
    """Every row in order of their places. Where a page hides even the next one's place, those behind from the end."""
    routes = {stream.id: route for route, stream in loaded(sql).items()}
    free: dict[int, int] = {}
    at = -1
    try:
        while rows := _next(sql, at):
            for row in rows:
                stream, first = divmod(row[0], POSITIONS)
                if first < free.get(stream, 1):
                    finding.note(f"{_where(routes, row[0])}: positions stand twice")
                free[stream] = first + row[1]
                _judge(row, routes, finding)
            at = rows[-1][0]
    except sqlite3.Error as error:
        finding.note(f"the rows after {_where(routes, at)} cannot be read in order: {error}")
        _read_from_the_end(sql, routes, at, finding)


def _next(sql: sqlite3.Connection, at: int) -> list[_Raw]:
    """Some rows after a place; where that meets a damaged page the first of them, without its body if need be."""
    for most in (_ROWS_AT_ONCE, 1):
        with suppress(sqlite3.DatabaseError):
            return _some(sql, "place > ? ORDER BY place", at, most)
    query = "SELECT place, events, checksum FROM batches WHERE place > ? ORDER BY place LIMIT 1"
    return [(*found, None) for found in sql.execute(query, (at,))]


def _read_from_the_end(sql: sqlite3.Connection, routes: dict[int, str], at: int, finding: Finding) -> None:
    end = 2**63 - 1
    with suppress(sqlite3.Error):  # from there on back to `at` nothing can be read
        while (rows := _some(sql, "place < ? ORDER BY place DESC", end, 1)) and rows[0][0] > at:
            _judge(rows[0], routes, finding)
            end = rows[0][0]


def _judge(row: _Raw, routes: dict[int, str], finding: Finding) -> None:
    at, events, checksum, body = row
    if at // POSITIONS not in routes:
        finding.note(f"{_where(routes, at)}: the row belongs to no route")
    if (why := _flaw(events, checksum, body)) is None:
        finding.rows += 1
        finding.events += events
    else:
        finding.damaged_rows += 1
        finding.damaged_events += events
        finding.note(f"{_where(routes, at)}: {counted(events, 'event')} cannot be read: {why}")


def _flaw(events: int, checksum: int, body: bytes | None) -> str | None:
    if body is None:
        return "it is on a damaged page"
    if record.checksum(body) != checksum:
        return "the checksum does not hold"
    try:
        record.decode(body, "", events)
    except record.Damaged as error:
        return str(error)
    return None


def _where(routes: dict[int, str], at: int) -> str:
    stream, position = divmod(at, POSITIONS)
    return f"route {routes[stream]!r}, position {position}" if stream in routes else f"place {at}"


def _some(sql: sqlite3.Connection, which: str, place: int, most: int) -> list[_Raw]:
    # `which` is one of two literals above
    query = f"SELECT place, events, checksum, {BODY} FROM batches WHERE {which} LIMIT ?"  # noqa: S608
    return sql.execute(query, (place, most)).fetchall()
