"""Kinesis, Firehose and SQS as aiobotocore's own examples have them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from bench.naive.models import Event

SQS_ENTRIES = 10


class Kinesis:
    """put_record, and put_records for many."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def send(self, event: Event) -> None:
        """One PutRecord."""
        await self._client.put_record(
            StreamName="orders", Data=event.model_dump_json().encode(), PartitionKey=event.subject
        )

    async def send_many(self, events: Sequence[Event]) -> None:
        """One PutRecords: at most 500."""
        records = [{"Data": event.model_dump_json().encode(), "PartitionKey": event.subject} for event in events]
        answer = await self._client.put_records(StreamName="orders", Records=records)
        if answer["FailedRecordCount"]:
            raise RuntimeError("not all records were taken")


class Firehose:
    """put_record_batch: at most 500 records."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def send(self, event: Event) -> None:
        """One record."""
        await self.send_many([event])

    async def send_many(self, events: Sequence[Event]) -> None:
        """A record each."""
        records = [{"Data": event.model_dump_json().encode()} for event in events]
        answer = await self._client.put_record_batch(DeliveryStreamName="orders", Records=records)
        if answer["FailedPutCount"]:
            raise RuntimeError("not all records were taken")


class Sqs:
    """send_message_batch, ten messages at a time."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    async def send(self, event: Event) -> None:
        """One message."""
        await self._batch([event])

    async def send_many(self, events: Sequence[Event]) -> None:
        """As many calls as it takes, all at once."""
        starts = range(0, len(events), SQS_ENTRIES)
        await asyncio.gather(*[self._batch(events[start : start + SQS_ENTRIES]) for start in starts])

    async def _batch(self, events: Sequence[Event]) -> None:
        entries = [{"Id": str(index), "MessageBody": event.model_dump_json()} for index, event in enumerate(events)]
        answer = await self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        if answer.get("Failed"):
            raise RuntimeError("not all messages were taken")


@asynccontextmanager
async def connected(name: str) -> AsyncIterator[Kinesis | Firehose | Sqs]:
    """The destination of that name at AWS_ENDPOINT_URL."""
    async with get_session().create_client(name, config=AioConfig(max_pool_connections=64)) as client:
        match name:
            case "kinesis":
                yield Kinesis(client)
            case "firehose":
                yield Firehose(client)
            case "sqs":
                yield Sqs(client, (await client.get_queue_url(QueueName="orders"))["QueueUrl"])
            case _:
                raise ValueError(name)
