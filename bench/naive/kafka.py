"""Kafka as confluent-kafka's own examples have it, between asyncio and its callbacks."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from confluent_kafka import Producer

from bench.naive.models import Event


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


@asynccontextmanager
async def connected() -> AsyncIterator[Kafka]:
    """The brokers at BROKERS."""
    producer = Producer({"bootstrap.servers": os.environ["BROKERS"], "acks": "all", "linger.ms": 5})
    loop = asyncio.get_running_loop()

    async def poll() -> None:
        while True:
            await loop.run_in_executor(None, producer.poll, 0.1)

    polling = asyncio.create_task(poll())
    try:
        yield Kafka(producer)
    finally:
        polling.cancel()
        producer.flush(5)
