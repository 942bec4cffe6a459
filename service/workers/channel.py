"""What a supervisor and a worker say to each other, over a pair of connected sockets of which each holds one.

A message is its length in four bytes, big-endian, and MessagePack. The socket is also the leash: it ends when either
process does, however it ended.
"""

import asyncio
import contextlib
import socket
from enum import StrEnum
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.msgpack import Decoder, encode

from service.telemetry.snapshot import Snapshot, read_counter

T = TypeVar("T")

_LENGTH_BYTES = 4


class Assignment(Struct):
    """To a worker, once: who it is, and what it is to run."""

    worker: int
    """From 0."""
    workers: int
    port: int
    """Of the public port, which the system may have picked."""
    tree: str
    """The configuration of the whole service, `Config.tree` in JSON."""
    origin: str | None


class Command(StrEnum):
    """To a worker, at any time. Each may come twice."""

    REPORT = "report"
    STOP = "stop"
    """As a first signal."""
    NOW = "now"
    """As a second one."""


class Report(Struct, tag=True):
    """From a worker: what it is like. The first one says that it serves."""

    snapshot: Snapshot
    asked: bool
    """Whether it answers `Command.REPORT`."""


class Misconfigured(Struct, tag=True):
    """From a worker: it cannot start, for these mistakes in the configuration."""

    mistakes: list[str]


class Ended(Struct, tag=True):
    """From a worker, its last word. `clean`: everything it took was settled."""

    snapshot: Snapshot
    clean: bool


Message = Report | Misconfigured | Ended

ASSIGNMENTS: Final = Decoder(Assignment)
COMMANDS: Final = Decoder(Command)
MESSAGES: Final[Decoder[Message]] = Decoder(Message, dec_hook=read_counter)


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """The channel over a connected socket, which it closes in the end."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    @property
    def backlogged(self) -> bool:
        """Whether the other side has not even read what it was told before."""
        return self._writer.transport.get_write_buffer_size() > 0

    def send(self, message: Assignment | Command | Message) -> None:
        """Tell the other side; nothing happens if it is gone."""
        data = encode(message)
        if not self._writer.transport.is_closing():
            self._writer.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)

    async def receive(self, decoder: Decoder[T]) -> T:
        """The next message. Raises EOFError once the other side is gone."""
        try:
            size = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES), "big")
            data = await self._reader.readexactly(size)
        except ConnectionError as error:
            raise EOFError from error
        return decoder.decode(data)

    async def close(self) -> None:
        """Send what is still to be sent, and end."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):  # the other side was first
            await self._writer.wait_closed()
