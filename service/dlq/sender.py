"""Posts events to the running service, one a request, and says what it answered. Its 503 is for the caller to heed."""

from contextlib import AsyncExitStack
from http import HTTPStatus
from ssl import SSLContext
from typing import Any, Self
from urllib.parse import quote, urlsplit

import aiohttp
import orjson
from msgspec import Struct

from service.dlq.posting import Posting

REQUEST_SECONDS = 70.0
"""Longer than the service takes to answer, and than a load balancer waits for it."""
_CONFIRMING = (HTTPStatus.OK, HTTPStatus.ACCEPTED)
_SAFE = ("delivered", "stored")
"""What the result of the one event says beside such a status."""


class Answer(Struct, frozen=True):
    """What became of one event."""

    status: int
    """0 if there was no answer."""
    code: str
    detail: str
    retry_after: float | None = None
    dead_lettered: bool = False
    """A new letter of the event is safe."""

    @property
    def confirmed(self) -> bool:
        """Every required destination has it, or the service has stored it."""
        return self.status in _CONFIRMING

    @property
    def passing(self) -> bool:
        """Whether the same request may be answered otherwise later."""
        return (
            not self.status
            or self.status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
            or self.status >= 500
        )

    @property
    def unwelcome(self) -> bool:
        """Whether it is the sender that is refused, so that no other event will fare better."""
        return self.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class Sender:
    """A client of the HTTP source. Raises ValueError for a `url` that is none."""

    def __init__(self, url: str, key: str | None, connections: int, trust: SSLContext | None = None) -> None:
        """`trust`: for https://, else the system's."""
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError(f"{url!r} is no address: write http://HOST:PORT")
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._connections = connections
        self._trust = trust
        self._session: aiohttp.ClientSession | None = None
        self._exit = AsyncExitStack()

    async def send(self, posting: Posting) -> Answer:
        """One request, once."""
        assert self._session is not None
        url = f"{self.url}/v1/{quote(posting.route, safe='')}"
        headers = {**self._headers, **posting.headers}
        try:
            async with self._session.post(url, data=posting.body, headers=headers, allow_redirects=False) as answer:
                return _read(answer.status, answer.headers.get("Retry-After"), await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer(0, "no_answer", f"{type(error).__name__} at {self.url}")

    async def __aenter__(self) -> Self:
        self._session = await self._exit.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._trust or True),
                timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS, connect=5.0),
                # a body of unknown media type must stay without one
                skip_auto_headers=("Content-Type",),
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()


def _read(status: int, retry_after: str | None, body: bytes) -> Answer:
    error: dict[str, Any] = {}
    try:
        members = orjson.loads(body)
        results = members.get("results")
        safe = bool(results) and results[0].get("status") in _SAFE
        error = dict(results[0].get("error") or {}) if results else members
    except (ValueError, AttributeError, LookupError, TypeError):
        safe = False
    if status in _CONFIRMING and not safe:
        # what is not the service's own says nothing of the event
        return Answer(0, "no_answer", f"a {status} that is not Penstock's: is there another service at this address?")
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
    code, detail = str(error.get("code", status)), str(error.get("detail", ""))
    return Answer(status, code, detail, seconds, bool(error.get("dead_lettered")))
