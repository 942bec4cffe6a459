"""The ceiling: `python -m bench.ceiling PORT`, a bare asyncio.Protocol with httptools on uvloop that does nothing.

It reads whole requests and answers each with 200. No service in Python on this machine, with this parser and this loop,
answers more of them.
"""

import asyncio
import signal
import sys

import httptools
import uvloop

ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"accepted":1}'


class Connection(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_body", "_headers", "_parser", "_transport", "_url")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to parse."""
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Parse; what is complete is answered by `on_message_complete`."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """A new request."""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        """Keep it."""
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep it."""
        self._headers[name] = value

    def on_body(self, part: bytes) -> None:
        """Keep it."""
        self._body.append(part)

    def on_message_complete(self) -> None:
        """Put the body together, as every service must, and answer."""
        b"".join(self._body)
        self._transport.write(ANSWER)


async def serve(port: int) -> None:
    """Listen on loopback until SIGTERM."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=2048)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
