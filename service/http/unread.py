"""Answers that are known before the whole body is: the rest is read and dropped, so that the producer sees them.

A socket that is closed with bytes unread resets the connection, and a reset takes back the answer that was sent
(RFC 9112 section 9.6).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.errors import Code, IngestError, SlowClient, TooLarge

LINGER_SECONDS = 2.0
"""How long the rest of a body is read for the sake of an answer."""


class Incoming:
    """A body as the server hands it over. Iterate once."""

    def __init__(self, receive: Receive) -> None:
        self.ended = False
        """True once nothing of it is left to read."""
        self.received = 0
        """Bytes of it that have come."""
        self._receive = receive

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Its pieces. Raises ClientDisconnect if the producer is gone before its end."""
        while not self.ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.ended = True
                raise ClientDisconnect
            self.ended = not message.get("more_body", False)
            if piece := message.get("body", b""):
                self.received += len(piece)
                yield piece

    async def discard(self) -> None:
        """Read on, for LINGER_SECONDS at most, and keep nothing."""
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                async for _ in self:
                    pass
        except (TimeoutError, ClientDisconnect):
            return


class EarlyResponse(Response):
    """Sends the whole answer first, and ends it when the rest of the body has been read, or was waited for enough."""

    def __init__(
        self, incoming: Incoming, body: bytes, status: int, headers: Mapping[str, str], media_type: str
    ) -> None:
        super().__init__(body, status, headers, media_type)
        self._incoming = incoming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ASGI does."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await self._incoming.discard()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def closing(error: IngestError, headers: Mapping[str, str], incoming: Incoming) -> bool:
    """Whether the connection ends with the answer to a request with these headers (lower-cased names)."""
    if error.code is Code.DRAINING or "upgrade" in headers:
        return True
    # A producer that waited for leave to send its body may send it now, or not: what comes next has no meaning.
    return not incoming.ended and (isinstance(error, TooLarge | SlowClient) or "expect" in headers)
