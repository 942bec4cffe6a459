"""A request's body while it arrives: bounded in time, in bytes, in inflated bytes, and in the memory of all bodies."""

import asyncio
from collections.abc import AsyncIterable, Mapping
from time import perf_counter
from types import TracebackType
from typing import Self

from service.codecs.compression import Inflater, inflater
from service.config.settings import ServerConfig
from service.errors import Busy, Code, SlowClient, TooLarge

_STEP_BYTES = 4096
"""How much is inflated before looking at the clock: at most about 4 MiB come of it."""
_STEP_SECONDS = 0.005


class Room:
    """Memory for bodies that are being read, shared by all requests, and the number of requests."""

    def __init__(self, capacity: int, requests: int) -> None:
        """`capacity` in bytes."""
        self.held = 0
        self.open = 0
        self._capacity = capacity
        self._requests = requests

    def enter(self) -> None:
        """Count a request. Raises Busy if too many are open."""
        if self.open >= self._requests:
            raise Busy(f"{self.open} requests are being answered, as many as may be at once", 1.0)
        self.open += 1

    def leave(self) -> None:
        """The request is answered."""
        self.open -= 1

    def reserve(self, size: int) -> None:
        """Take `size` bytes. Raises Busy if there is no room now."""
        if self.held + size > self._capacity:
            raise Busy("no memory for more request bodies now", 1.0)
        self.held += size

    def release(self, size: int) -> None:
        """Give `size` bytes back."""
        self.held -= size


class Arrival:
    """One body. The memory it takes is held until `with` ends."""

    def __init__(self, room: Room, server: ServerConfig, headers: Mapping[str, str]) -> None:
        """Raises TooLarge, Unsupported, Unreadable or Busy before anything is read, from the headers alone."""
        self._room = room
        self._server = server
        self._reserved = 0
        self._received = 0
        self._inflater: Inflater | None = inflater(headers.get("content-encoding", ""), server.max_decompressed)
        length = headers.get("content-length")
        if length is not None and length.isascii() and length.isdigit():
            self._demand_size(int(length))
            self._reserve(int(length))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.release(self._reserved)
        self._reserved = 0

    async def read(self, chunks: AsyncIterable[bytes]) -> bytes:
        """The whole body, inflated. Raises TooLarge, Unreadable, Busy or SlowClient."""
        try:
            async with asyncio.timeout(self._server.body_timeout):
                return await self._read(chunks)
        except TimeoutError:
            raise SlowClient(
                Code.CLIENT_TIMEOUT,
                f"the body did not arrive within {self._server.body_timeout:g} s; nothing was taken",
            ) from None

    async def _read(self, chunks: AsyncIterable[bytes]) -> bytes:
        pieces: list[bytes] = []
        kept = 0
        async for chunk in chunks:
            self._received += len(chunk)
            self._demand_size(self._received)
            if self._inflater is None:
                pieces.append(chunk)
                kept += len(chunk)
                self._grow(kept)
                continue
            began = perf_counter()
            for start in range(0, len(chunk), _STEP_BYTES):
                piece = self._inflater.feed(chunk[start : start + _STEP_BYTES])
                pieces.append(piece)
                kept += len(piece)
                self._grow(kept)
                if perf_counter() - began > _STEP_SECONDS:
                    await asyncio.sleep(0)
                    began = perf_counter()
        if self._inflater is not None:
            self._inflater.finish()
        return b"".join(pieces)

    def _grow(self, kept: int) -> None:
        if kept > self._reserved:
            self._reserve(kept - self._reserved)

    def _reserve(self, size: int) -> None:
        self._room.reserve(size)
        self._reserved += size

    def _demand_size(self, size: int) -> None:
        if size > self._server.max_body:
            raise TooLarge(
                Code.BODY_TOO_LARGE,
                f"the body has at least {size} bytes; at most {self._server.max_body} are taken: send fewer events",
                limit=self._server.max_body,
                actual=size,
            )
