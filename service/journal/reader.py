"""Rows of the journal, read: each call is a transaction of its own, so that no reader keeps the log from being cut."""

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from service.journal.record import checksum

POSITIONS: Final = 1 << 48
"""Positions of a stream: 89 years at 100,000 a second."""


BODY: Final = "coalesce(CAST(body AS BLOB), x'')"
"""The column, whatever a damaged page makes of its type: as text it would stand in the message of an error."""


class Row(Struct, frozen=True):
    """Events at consecutive positions of one stream."""

    first: int
    events: int
    stored_at: float
    """Unix time in seconds."""
    body: bytes
    sound: bool = True
    """Whether its checksum holds."""

    @property
    def last(self) -> int:
        """Position of its last event."""
        return self.first + self.events - 1


def place(stream: int, position: int) -> int:
    """Where a row that begins at `position` of a stream stands in the table."""
    return stream * POSITIONS + position


def reading(path: Path) -> sqlite3.Connection:
    """A connection to the file at `path`, which must be there, that writes nothing into it. Raises sqlite3.Error."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)


class _OfDamage(Exception):
    """A page is not what SQLite has written."""


class Reader:
    """A connection that only reads. Its methods may be called in any thread, and raise sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        """The file at `path` must be there."""
        self._lock = threading.Lock()
        self._sql = reading(path)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._sql.close()

    def rows(self, stream: int, position: int, most: int) -> list[Row]:
        """Rows that hold `position` or what comes after, of `most` bytes together, but one if there is any.

        One whose body is on a damaged page is not sound, and empty; those around it are read.
        """
        with self._lock:
            within = self._before(stream, position), place(stream, POSITIONS)
            with suppress(_OfDamage):
                return self._read(stream, within, most, -1)
            # the cursor is a row ahead, and fails before it gives the sound one: alone it can be read
            with suppress(_OfDamage):
                return self._read(stream, within, most, 1)
            return [self._without_body(stream, within)]

    def _read(self, stream: int, within: tuple[int, int], most: int, limit: int) -> list[Row]:
        """As `rows`, up to `limit` of those between two places. Raises _OfDamage if one cannot be read."""
        found: list[Row] = []
        size = 0
        query = (
            f"SELECT place, events, stored_at, checksum, {BODY} FROM batches WHERE place > ? AND place < ? "  # noqa: S608
            "ORDER BY place LIMIT ?"
        )
        try:
            with closing(self._sql.execute(query, (*within, limit))) as cursor:
                for at, events, stored_at, check, body in cursor:
                    sound = isinstance(body, bytes) and checksum(body) == check
                    body = body if isinstance(body, bytes) else b""  # what a torn page makes of it
                    size += len(body)
                    if found and size > most:
                        break
                    found.append(Row(at - place(stream, 0), events, stored_at, body, sound))
                    if size >= most:
                        break
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_CORRUPT:  # the rest says which
                raise
            raise _OfDamage from error
        return found

    def _without_body(self, stream: int, within: tuple[int, int]) -> Row:
        """The first row between two places, of which a damaged page leaves the columns before the body. Raises
        sqlite3.DatabaseError if it leaves none."""
        at, events, stored_at = self._sql.execute(
            "SELECT place, events, stored_at FROM batches WHERE place > ? AND place < ? ORDER BY place LIMIT 1", within
        ).fetchone()
        return Row(at - place(stream, 0), events, stored_at, b"", sound=False)

    def _before(self, stream: int, position: int) -> int:
        """A place after the last row that ends before `position`, and before all that do not."""
        found = self._sql.execute(
            "SELECT place, events FROM batches WHERE place <= ? AND place > ? ORDER BY place DESC LIMIT 1",
            (place(stream, position), place(stream, 0)),
        ).fetchone()
        if found is None:
            return place(stream, position) - 1
        at, events = found
        return int(at) - 1 if at + events - 1 >= place(stream, position) else place(stream, position) - 1
