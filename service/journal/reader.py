"""Rows of the journal, read: each call is a transaction of its own, so that no reader keeps the log from being cut."""

import sqlite3
import threading
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
        """Rows that hold `position` or what comes after, of `most` bytes together, but one if there is any."""
        found: list[Row] = []
        size = 0
        with self._lock:
            cursor = self._sql.execute(
                f"SELECT place, events, stored_at, checksum, {BODY} FROM batches WHERE place > ? AND place < ? "  # noqa: S608
                "ORDER BY place",
                (self._before(stream, position), place(stream, POSITIONS)),
            )
            try:
                for at, events, stored_at, check, body in cursor:
                    sound = isinstance(body, bytes) and checksum(body) == check
                    body = body if isinstance(body, bytes) else b""  # what a torn page makes of it
                    size += len(body)
                    if found and size > most:
                        break
                    found.append(Row(at - place(stream, 0), events, stored_at, body, sound))
                    if size >= most:
                        break
            finally:
                cursor.close()
        return found

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
