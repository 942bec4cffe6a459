"""A request's memory from its body to its answer.

Bounded in time, in bytes, in inflated bytes, and in what all requests take together.
"""

import asyncio
from collections.abc import AsyncIterable, Mapping
from time import perf_counter

from service.codecs.compression import Inflater, inflater
from service.config.settings import ServerConfig
from service.errors import Busy, Code, SlowClient, TooLarge
from service.telemetry.meter import Meter

_STEP_BYTES = 4096
"""How much is inflated before looking at the clock: of gzip about 4 MiB come of it, of zstd at most the cap."""
_STEP_SECONDS = 0.005
_RETRY_SECONDS = 1.0
"""What a producer is told to wait for room: bodies come and go within seconds."""


class Room:
    """Memory for bodies that are being read, shared by all requests, and the number of requests."""

    def __init__(self, meter: Meter, capacity: int, requests: int) -> None:
        """`capacity` in bytes."""
        self._meter = meter
        self.capacity = capacity
        """Bytes for all of them."""
        self._requests = requests

    def enter(self) -> None:
        """Count a request. Raises Busy if too many are open."""
        if self._meter.requests_open >= self._requests:
            raise Busy(f"{self._requests} requests are being answered, as many as may be at once", _RETRY_SECONDS)
        self._meter.requests_open += 1

    def leave(self) -> None:
        """The request is answered."""
        self._meter.requests_open -= 1

    def reserve(self, size: int) -> None:
        """Take `size` bytes. Raises Busy if there is no room now."""
        if self._meter.body_bytes + size > self.capacity:
            raise Busy("no memory for more request bodies now", _RETRY_SECONDS)
        self._meter.body_bytes += size

    def release(self, size: int) -> None:
        """Give `size` bytes back."""
        self._meter.body_bytes -= size


class Hold:
    """What one request takes of a room, until `end`: its place, and memory for its body or its answer."""

    __slots__ = ("_room", "reserved")

    def __init__(self, room: Room, size: int = 0) -> None:
        """Take a place, and `size` bytes. Raises Busy if there is none, or no room for them now."""
        self.reserved = 0
        self._room = room
        room.enter()
        if size:
            try:
                room.reserve(size)
            except Busy:
                room.leave()
                raise
            self.reserved = size

    def grow(self, size: int) -> None:
        """Hold `size` bytes more. Raises Busy if there is no room for them now."""
        self._room.reserve(size)
        self.reserved += size

    @property
    def capacity(self) -> int:
        """Bytes that there are for all requests."""
        return self._room.capacity

    def keep(self, size: int) -> None:
        """Hold `size` bytes from now on, instead of what the body took.

        Raises Busy if there is no room for more now, TooLarge if there never is.
        """
        if size > self._room.capacity:
            raise TooLarge(
                Code.BATCH_TOO_LARGE,
                f"so many events, and the answer to them, take {size} bytes; at most {self._room.capacity} are there: "
                "send fewer events",
                limit=self._room.capacity,
                actual=size,
            )
        if size > self.reserved:
            self.grow(size - self.reserved)
        else:
            self._room.release(self.reserved - size)
            self.reserved = size

    def hold(self, size: int) -> None:
        """Hold `size` bytes from now on: of an answer that there is already, so this refuses nothing."""
        self._room.release(self.reserved - size)
        self.reserved = size

    def end(self) -> None:
        """The answer is sent, or nobody is left to read it."""
        self.hold(0)
        self._room.leave()


class Arrival:
    """One body on its way. It takes memory of its request's `hold` as it comes."""

    def __init__(self, hold: Hold, server: ServerConfig, headers: Mapping[str, str]) -> None:
        """Raises TooLarge, Unsupported, Unreadable or Busy before anything is read, from the headers alone."""
        self._hold = hold
        self._server = server
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
        for start in range(0, len(chunk), _STEP_BYTES):
            piece = inflater.feed(chunk[start : start + _STEP_BYTES])
            self._grow(len(inflated) + len(piece))
            inflated += piece
            if perf_counter() - began > _STEP_SECONDS:
                await asyncio.sleep(0)
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
