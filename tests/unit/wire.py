"""A server that answers each request with bytes that a test wrote, so that it can answer what no sound server does."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Script:
    """What is answered: all of `answer`, and then the connection is kept, closed or reset."""

    answer: bytes
    then: str = ""
    """`close`, `reset`, `repeat` (a while later), or nothing."""


@dataclass
class Wire:
    """The server: what it answers, and what it was asked."""

    script: Script
    url: str = ""
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((line[15:] for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0)
                self.bodies.append(await reader.readexactly(int(length)))
                self.heads.append(head)
                script = self.script if b"/elsewhere" not in head.split(b"\r\n")[0] else ok()
                writer.write(script.answer)
                await writer.drain()
                if script.then == "repeat":
                    await asyncio.sleep(0.01)
                    writer.write(script.answer)
                elif script.then == "reset":
                    made: socket.socket = writer.get_extra_info("socket")
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if script.then in ("close", "reset"):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


def answer(status: str, body: bytes = b"{}", *headers: str, then: str = "") -> Script:
    """An answer with its Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return Script("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body, then)


def chunked(status: str, *chunks: bytes) -> Script:
    """An answer in these chunks."""
    body = b"".join([b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b"")])
    return Script(f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + body)


TAKEN = (
    b'{"Records":[{"SequenceNumber":"1","ShardId":"s"}],'
    b'"RequestResponses":[{"RecordId":"1"}],"Successful":[{"Id":"0"}]}'
)


def ok() -> Script:
    """What each of the services answers to one record."""
    return answer("200 OK", TAKEN, "x-amzn-RequestId: r")


@asynccontextmanager
async def wire(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """The server, until the block ends."""
    made = Wire(script)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
