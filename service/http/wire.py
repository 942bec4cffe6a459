"""The connection of an exchange, as that sees it."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol


class Wire(Protocol):
    """The connection that an exchange came on."""

    loop: asyncio.AbstractEventLoop

    @property
    def to_leave(self) -> bool:
        """Whether the client is to go elsewhere after its answer."""

    def write(self, status: bytes, head: bytes, body: bytes, written: Callable[[], None]) -> None:
        """Write an answer, with the headers that all have, as its client reads it; then call `written`."""

    def answered(self, keep_alive: bool) -> None:
        """The next request may begin."""

    def part(self) -> None:
        """Read nothing more: the answer came before the end of a body."""


class _NobodyWaits(asyncio.Event):
    """Stands for the event by which uvicorn wakes the task of a request: here is none."""

    def set(self) -> None:
        return


NOBODY_WAITS: Final = _NobodyWaits()
