"""The reader contract: how the dead letters at one kind of sink are read, and taken away where that is possible."""

from collections.abc import AsyncGenerator, Container
from contextlib import aclosing
from typing import Protocol, Self

from msgspec import Struct


class StoreError(Exception):
    """Dead letters cannot be read, or taken away. The message says what to do."""


class Stored(Struct, frozen=True):
    """One record that should be a letter."""

    position: str
    """Names the record within its store, for good: the same one has the same name in every run."""
    raw: bytes


class Reader(Protocol):
    """Reads what was at one sink when the reading began; what comes meanwhile may be left out.

    `async with` connects, and gives back what was borrowed. Raises StoreError.
    """

    place: str
    """What is read, in words: `queue 'dead'`."""
    deletes: bool
    """Whether the store can delete single records. Where it cannot, only the list of settled ones knows of them."""

    @property
    def notes(self) -> list[str]:
        """Sentences about what was met and cannot be seen from the letters."""

    def letters(self) -> AsyncGenerator[Stored, None]:
        """The records, each one once. Those of a record that holds many are neighbours."""

    async def remove(self, stored: Stored) -> None:
        """Take the record away if the store can; else mark where the settled ones end, if it can do that.

        It has been added to the list of settled ones before. Called in any order, once per record.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...


async def unsettled(reader: Reader, settled: Container[str], removing: bool) -> AsyncGenerator[Stored, None]:
    """The records that are not settled yet. `removing`: take away what a run that was cut off has left there."""
    async with aclosing(reader.letters()) as letters:
        async for stored in letters:
            if stored.position not in settled:
                yield stored
            elif removing:
                await reader.remove(stored)
