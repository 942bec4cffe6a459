"""A client that writes exactly the bytes it is told to, and reads what comes back: no library between test and wire."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ssl import SSLContext, SSLObject
from typing import Any, Self

JSON = "application/json"
SECONDS = 30.0
"""Longest wait for anything; only a hanging service reaches it."""
TRUST: dict[str, SSLContext] = {}
"""`any`: what every service's clients need, when all tests run over TLS."""


@dataclass(frozen=True)
class Answer:
    """One response. `headers` have lower-cased names; a repeated one is joined."""

    status: int
    version: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)

    @property
    def results(self) -> list[dict[str, Any]]:
        """The results in the body."""
        found: list[dict[str, Any]] = self.json["results"]
        return found

    @property
    def code(self) -> str:
        """The error code: of the problem document, or of the only result."""
        content = self.json
        if "results" in content:
            [result] = content["results"]
            return str(result["error"]["code"])
        return str(content["code"])


class Connection:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection in both directions."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return  # the other side was first

    @property
    def secure(self) -> SSLObject:
        """What a connection over TLS has agreed upon."""
        found: SSLObject = self._writer.get_extra_info("ssl_object")
        return found

    async def whole(self) -> bytes:
        """All that still comes, to the end of the connection."""
        async with asyncio.timeout(SECONDS):
            return await self._reader.read()

    def reset(self) -> None:
        """Drop the connection without a word."""
        self._writer.transport.abort()

    async def send(self, data: bytes) -> None:
        """Write `data`. Stops quietly if the other side does not read on: what it says counts, not that."""
        try:
            for start in range(0, len(data), 65536):
                self._writer.write(data[start : start + 65536])
                await self._writer.drain()
        except OSError:
            return

    async def answer(self, method: str = "POST") -> Answer:
        """The next response; provisional ones (1xx) are passed over."""
        async with asyncio.timeout(SECONDS):
            found = await self._head()
            while found.status < 200:
                found = await self._head()
            if method == "HEAD" or found.status in (204, 304):
                return found
            if found.headers.get("transfer-encoding") == "chunked":
                return Answer(found.status, found.version, found.headers, await self._chunks())
            length = int(found.headers["content-length"])
            return Answer(found.status, found.version, found.headers, await self._reader.readexactly(length))

    async def provisional(self) -> Answer:
        """The next head, whatever its status."""
        async with asyncio.timeout(SECONDS):
            return await self._head()

    async def ended(self) -> bool:
        """True once the other side has closed, with nothing more to read."""
        async with asyncio.timeout(SECONDS):
            try:
                return await self._reader.read(1) == b""
            except OSError:
                return True

    async def _head(self) -> Answer:
        text = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
        version, status, _ = first.split(" ", 2)
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return Answer(int(status), version, headers, b"")

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self._reader.readline()).split(b";")[0], 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return body


async def connect(url: str, trust: SSLContext | None = None) -> Connection:
    """A new connection to `http://host:port`, or to `https://host:port` with what a client needs for that."""
    scheme, _, rest = url.partition("://")
    host, _, port = rest.partition(":")
    secure = (trust or TRUST.get("any")) if scheme == "https" else None
    return Connection(*await asyncio.open_connection(host, int(port), ssl=secure))


def head(
    method: str, path: str, headers: Mapping[str, str] | Iterable[tuple[str, str]], version: str = "HTTP/1.1"
) -> bytes:
    """The bytes of a request's head, with a Host and nothing else that is not given."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lines = [f"{method} {path} {version}", "Host: localhost", *(f"{name}: {value}" for name, value in pairs)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def request(
    path: str, body: bytes, headers: Mapping[str, str] | None = None, method: str = "POST", content_type: str = JSON
) -> bytes:
    """The bytes of a whole request; an empty `content_type` is left out."""
    given = {"Content-Type": content_type} if content_type else {}
    return head(method, path, {**given, "Content-Length": str(len(body)), **(headers or {})}) + body


def chunked(pieces: Iterable[bytes]) -> bytes:
    """A body in chunked transfer coding."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
