"""What the journal's file says of itself: whose it is, which streams it has, how much it holds.

Whoever has a connection may ask, whether it may write or not. All of it raises sqlite3.Error.
"""

import sqlite3
from pathlib import Path
from typing import Final

from service.journal.ranges import Ranges
from service.journal.reader import POSITIONS, place
from service.journal.state import Leg, Stream, common

APPLICATION: Final = 0x50535431
VERSION: Final = 1


class Unusable(Exception):
    """The file cannot be used as a journal. The message says why, and what to do."""


def demand_known(sql: sqlite3.Connection, path: Path) -> None:
    """Raise Unusable if the file is no journal, or one of a later version."""
    application, version = (sql.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if application != APPLICATION:
        raise Unusable(f"{path} is a file of something else: give the journal a folder of its own")
    if version > VERSION:
        raise Unusable(f"{path} was written by a later version ({version}; this one knows {VERSION}): run that one")


def loaded(sql: sqlite3.Connection) -> dict[str, Stream]:
    """The streams by route, with their legs and what these have settled."""
    try:
        return _loaded(sql)
    except LookupError as error:
        raise sqlite3.DatabaseError(f"its tables do not fit together: there is no stream or leg {error}") from error


def _loaded(sql: sqlite3.Connection) -> dict[str, Stream]:
    streams = {
        route: Stream(id_, route, {}, Ranges(), 0)
        for id_, route in sql.execute("SELECT id, route FROM streams ORDER BY id")
    }
    by_id = {stream.id: stream for stream in streams.values()}
    legs: dict[int, Leg] = {}
    for id_, stream, sink, required in sql.execute("SELECT id, stream, sink, required FROM legs"):
        legs[id_] = by_id[stream].legs[sink] = Leg(id_, sink, bool(required), Ranges())
    for leg, first, last in sql.execute("SELECT leg, first, last FROM settled"):
        legs[leg].settled.add(first, last)
    for each in by_id.values():
        each.last = max([_last_stored(sql, each), *(leg.settled.last for leg in each.legs.values())])
        each.done = common([leg.settled for leg in each.legs.values()])
    return streams


def _last_stored(sql: sqlite3.Connection, stream: Stream) -> int:
    found = sql.execute(
        "SELECT place + events - 1 FROM batches WHERE place >= ? AND place < ? ORDER BY place DESC LIMIT 1",
        (place(stream.id, 0), place(stream.id, POSITIONS)),
    ).fetchone()
    return int(found[0]) - place(stream.id, 0) if found else 0


def stored_at(sql: sqlite3.Connection, stream: Stream, position: int) -> float | None:
    """When the row that holds `position`, or the first one after it, was stored (Unix time); None if there is none."""
    here, end = place(stream.id, position), place(stream.id, POSITIONS)
    before = sql.execute(
        "SELECT place + events, stored_at FROM batches WHERE place <= ? AND place > ? ORDER BY place DESC LIMIT 1",
        (here, place(stream.id, 0)),
    ).fetchone()
    if before is not None and before[0] > here:
        return float(before[1])
    found = sql.execute(
        "SELECT stored_at FROM batches WHERE place > ? AND place < ? ORDER BY place LIMIT 1", (here, end)
    ).fetchone()
    return float(found[0]) if found else None


def used_bytes(sql: sqlite3.Connection, path: Path) -> int:
    """Bytes that rows take, in the file and in its log."""
    pages, free, size = (
        int(sql.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    log = path.with_name(path.name + "-wal")
    return (pages - free) * size + (log.stat().st_size if log.exists() else 0)
