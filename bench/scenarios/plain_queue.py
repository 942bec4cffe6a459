"""A sink of the bench's own: one message of a queue to a call, whatever the load, at little CPU."""

from typing import ClassVar, Self

import aiohttp
import orjson
from pydantic import Field

from service.outcome import DELIVERED, Outcome, Reason, Retry
from service.sinks.contract import Batch, Limits, SinkConfig


class PlainQueue:
    """Calls SendMessageBatch with one entry, as the fault proxy reads it."""

    class Config(SinkConfig):
        """Settings of a plain queue."""

        url: str = Field(description="Endpoint.")
        queue: str = Field(description="Name.")

    carries_attributes: ClassVar[bool] = False
    limits = Limits(batch_events=1, batch_bytes=2**20, event_bytes=2**20)

    def __init__(self, name: str, config: Config) -> None:
        self._config = config

    async def write(self, batch: Batch) -> list[Outcome]:
        """Delivered if the answer is 200."""
        [event] = batch.events
        entry = {"Id": "0", "MessageBody": event.body.decode()}
        body = orjson.dumps({"QueueUrl": f"/{self._config.queue}", "Entries": [entry]})
        headers = {"X-Amz-Target": "AmazonSQS.SendMessageBatch"}
        try:
            async with self._session.post(self._config.url, data=body, headers=headers) as answer:
                await answer.read()
                return [DELIVERED if answer.status == 200 else Retry(Reason.INTERNAL)]
        except aiohttp.ClientError as error:
            return [Retry(Reason.CONNECTION_LOST, detail=type(error).__name__)]

    async def probe(self) -> None:
        """Always usable."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
