"""A sink that posts each event to a web hook."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Self

import aiohttp
from pydantic import Field

from service.event import Event
from service.outcome import DELIVERED, Outcome, Reason, Rejected, Retry
from service.sinks.contract import Batch, Limits, ProbeError, SinkConfig, trace_headers

OF_THE_EVENT = {400: Reason.REFUSED_CONTENT, 413: Reason.TOO_LARGE, 422: Reason.REFUSED_CONTENT}
OF_THE_HOOK = {403: Reason.ACCESS_DENIED, 404: Reason.NOT_FOUND, 429: Reason.THROTTLED, 503: Reason.UNAVAILABLE}


class Webhook:
    """Delivered means that the hook answered 2xx. Each event is a request of its own, and so has its own answer."""

    class Config(SinkConfig):
        """Settings of a web hook."""

        url: str = Field(pattern="^https?://", description="Where to post.")

    carries_attributes: ClassVar[bool] = False  # only the body arrives: an id beside it would be lost
    limits = Limits(batch_events=20, batch_bytes=2**20, event_bytes=2**20)

    def __init__(self, name: str, config: Config) -> None:  # no I/O here: `penstock check` makes sinks too
        self._url = config.url

    async def write(self, batch: Batch) -> Sequence[Outcome]:  # a time-out is the lane's: it cancels this call
        return await asyncio.gather(*map(self._post, batch.events))

    async def _post(self, event: Event) -> Outcome:
        headers = {"Content-Type": event.content_type, **trace_headers(event)}
        try:
            async with self._session.post(self._url, data=event.body, headers=headers, allow_redirects=False) as answer:
                status, detail = answer.status, f"HTTP {answer.status}"
        except aiohttp.ClientError as error:
            unsent = isinstance(error, aiohttp.ClientConnectorError)
            return Retry(Reason.UNREACHABLE if unsent else Reason.CONNECTION_LOST, detail=type(error).__name__)
        if status in OF_THE_EVENT:
            return Rejected(OF_THE_EVENT[status], detail)
        return DELIVERED if 200 <= status < 300 else Retry(OF_THE_HOOK.get(status, Reason.INTERNAL), detail=detail)

    async def probe(self) -> None:
        try:
            async with self._session.options(self._url) as answer:
                if answer.status == 404:
                    raise ProbeError("the hook does not exist: correct `url`")
        except aiohttp.ClientError as error:
            raise ProbeError("the hook cannot be reached: check `url` and the network") from error

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
