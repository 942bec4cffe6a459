"""What a feeder needs of its journal."""

from typing import Protocol

from service.journal.reader import Row


class Books(Protocol):
    """Where events are read, and what became of them is noted (`journal.Journal`)."""

    max_age: float
    """Seconds after which a stored event goes to the dead letters."""

    async def rows(self, stream: int, position: int, most: int) -> list[Row]:
        """Rows that hold `position` or what comes after, of `most` bytes together, but one if there is any."""

    def settled(self, leg: int, first: int, last: int) -> None:
        """These positions are settled at a leg."""

    def damaged(self, route: str, row: Row, why: str) -> None:
        """A row cannot be read. It stays where it is."""
