"""A body on its way: bounded in time, in bytes, in inflated bytes, and in what all requests take together."""

import asyncio
from collections.abc import AsyncIterable, Mapping
from time import perf_counter

from service.codecs.compression import Inflater, inflater
from service.config.settings import ServerConfig
from service.errors import Code, SlowClient, TooLarge
from service.http.room import Hold
from service.http.turns import Pieces

_STEP_BYTES = 4096
"""How much is inflated before looking at the clock: of gzip about 4 MiB may come of it, of zstd at most the cap."""
_BOMB_STEP_BYTES = 512
"""The same of the first step, and of one after which much came."""
_MUCH_BYTES = 256 * 1024
"""What is much to come of a step."""


class Arrival:
    """One body on its way. It takes memory of its request's `hold` as it comes."""

    def __init__(self, hold: Hold, server: ServerConfig, headers: Mapping[str, str], pieces: Pieces) -> None:
        """`pieces`: in which it is inflated.

        Raises TooLarge, Unsupported, Unreadable or Busy before anything is read, from the headers alone.
        """
        self._hold = hold
        self._server = server
        self._pieces = pieces
        self._received = 0
        self._inflater: Inflater | None = inflater(headers.get("content-encoding", ""), server.max_decompressed)
        length = headers.get("content-length")
        if length is not None and length.isascii() and length.isdigit():
            self._demand_size(int(length))
            self._reserve(int(length))

    async def read(self, chunks: AsyncIterable[bytes]) -> bytes:
        """The whole body, inflated. Raises TooLarge, Unreadable, Busy or SlowClient."""
        try:
            async with asyncio.timeout(self._server.body_timeout):
                return await self._read(chunks)
        except TimeoutError:
            raise late(self._server.body_timeout) from None

    async def _read(self, chunks: AsyncIterable[bytes]) -> bytes:
        body = b""
        more: bytearray | None = None
        async for chunk in chunks:
            self._received += len(chunk)
            self._demand_size(self._received)
            if self._inflater is None and not body:
                # a body that comes in one piece is not copied
                self._grow(len(chunk))
                body = chunk
                continue
            if more is None:
                # one buffer, however small the pieces are that it comes in: each of their objects would take 33 bytes
                more = bytearray(body)
            if self._inflater is None:
                self._grow(len(more) + len(chunk))
                more += chunk
            else:
                await self._inflate(self._inflater, chunk, more)
        if self._inflater is not None:
            self._inflater.finish()
        return body if more is None else bytes(more)

    async def _inflate(self, inflater: Inflater, chunk: bytes, inflated: bytearray) -> None:
        began = perf_counter()
        start, step = 0, _BOMB_STEP_BYTES
        while start < len(chunk):
            piece = inflater.feed(chunk[start : start + step])
            start += step
            step = _BOMB_STEP_BYTES if len(piece) > _MUCH_BYTES else min(2 * step, _STEP_BYTES)
            self._grow(len(inflated) + len(piece))
            inflated += piece
            if perf_counter() - began > self._pieces.seconds:
                await self._pieces.pause()
                began = perf_counter()

    def _grow(self, kept: int) -> None:
        if kept > self._hold.reserved:
            self._reserve(kept - self._hold.reserved)

    def _reserve(self, size: int) -> None:
        capacity, needed = self._hold.capacity, self._hold.reserved + size
        if needed > capacity:
            # not even an idle service has room for it
            raise TooLarge(
                Code.BODY_TOO_LARGE,
                f"the body takes at least {needed} bytes of memory; at most {capacity} are there: send fewer events",
                limit=capacity,
                actual=needed,
            )
        self._hold.grow(size)

    def _demand_size(self, size: int) -> None:
        if size > self._server.max_body:
            raise TooLarge(
                Code.BODY_TOO_LARGE,
                f"the body has at least {size} bytes; at most {self._server.max_body} are taken: send fewer events",
                limit=self._server.max_body,
                actual=size,
            )


def late(seconds: float) -> SlowClient:
    """The refusal of a body that took longer than `seconds`."""
    return SlowClient(Code.CLIENT_TIMEOUT, f"the body did not arrive within {seconds:g} s; nothing was taken")
