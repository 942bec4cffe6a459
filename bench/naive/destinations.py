"""Each destination as its client library's own documentation shows it."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from confluent_kafka import Producer

from bench.naive.models import Event

SQS_ENTRIES = 10


class Destination(Protocol):
    """Where events go."""

    async def send(self, event: Event) -> None:
        """Return once it is acknowledged; raises if it is not."""

    async def send_many(self, events: Sequence[Event]) -> None:
        """The same for all of them."""


class Kafka:
    """A producer that a task polls in a thread of the default pool."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._loop = asyncio.get_running_loop()

    async def send(self, event: Event) -> None:
        """Produce one message and await its delivery."""
        await self._produce(event)

    async def send_many(self, events: Sequence[Event]) -> None:
        """Produce all and await all."""
        await asyncio.gather(*[self._produce(event) for event in events])

    def _produce(self, event: Event) -> "asyncio.Future[int]":
        future: asyncio.Future[int] = self._loop.create_future()

        def settle(error: Any, message: Any) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(RuntimeError(str(error)))
            else:
                future.set_result(message.offset())

        def delivered(error: Any, message: Any) -> None:
            self._loop.call_soon_threadsafe(settle, error, message)

        self._producer.produce("orders", event.model_dump_json().encode(), key=event.subject, on_delivery=delivered)
        return future


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
async def connected(name: str) -> AsyncIterator[Destination]:
    """The destination of that name: `kafka` at BROKERS, the others at AWS_ENDPOINT_URL."""
    if name == "kafka":
        async with _polled() as producer:
            yield Kafka(producer)
        return
    config = AioConfig(max_pool_connections=64)
    async with get_session().create_client(name, config=config) as client:
        match name:
            case "kinesis":
                yield Kinesis(client)
            case "firehose":
                yield Firehose(client)
            case "sqs":
                yield Sqs(client, (await client.get_queue_url(QueueName="orders"))["QueueUrl"])
            case _:
                raise ValueError(name)


@asynccontextmanager
async def _polled() -> AsyncIterator[Producer]:
    producer = Producer({"bootstrap.servers": os.environ["BROKERS"], "acks": "all", "linger.ms": 5})
    loop = asyncio.get_running_loop()

    async def poll() -> None:
        while True:
            await loop.run_in_executor(None, producer.poll, 0.1)

    polling = asyncio.create_task(poll())
    try:
        yield producer
    finally:
        polling.cancel()
        producer.flush(5)
