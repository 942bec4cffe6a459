"""The kafka sink against librdkafka's mock cluster. Event n goes to partition n % 4, which can fail by itself."""

import asyncio
from collections.abc import Awaitable, Collection
from typing import Any, Self

from confluent_kafka import KafkaError

from deploy.local.mock_cluster import PRODUCE, MockCluster
from service.event import Event
from service.sinks.kafka import Kafka
from tests.contract.harness import Fault, Harness, Received, event
from tests.contract.mock_kafka import asked, key_for, received


class KafkaHarness(Harness):
    """Its faults: refusals that librdkafka does not retry, an answer that never comes, headers beyond any limit."""

    name, faults, traced, _hangs = "kafka", frozenset(Fault) - {Fault.WRONG_LENGTH}, True, False

    async def __aenter__(self) -> Self:
        self._cluster = MockCluster(["orders"], partitions=4, brokers=1).__enter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._cluster.__exit__)

    def sink(self, topic: str = "orders") -> Kafka:
        return Kafka("kafka", Kafka.Config(type="kafka", brokers=self._cluster.bootstrap, topic=topic))

    async def received(self) -> list[Received]:
        return await asyncio.to_thread(received, self._cluster.bootstrap, "orders")

    def event(self, number: int, body: bytes | None = None, **changes: Any) -> Event:
        return event(number, body, key=key_for(number, 4), **changes)

    async def fail_events(self, positions: Collection[int]) -> None:
        for position in positions:
            self._cluster.fail_partition("orders", position, KafkaError.POLICY_VIOLATION)

    async def fail_calls(self) -> None:
        self._cluster.fail_requests(PRODUCE, KafkaError.POLICY_VIOLATION)

    def hang(self) -> Awaitable[object]:
        self._hangs = True
        self._cluster.track_requests()
        self._cluster.delay_next(PRODUCE, 600_000)
        return asked(self._cluster, PRODUCE)

    async def recover(self) -> None:
        self._cluster.stop_failing_requests(PRODUCE)
        if self._hangs:  # drop the connections whose answers are held back; what is on them may arrive twice
            self._cluster.down()
            self._cluster.up()

    def poison(self, number: int) -> Event:
        return self.event(number, attributes={"subject": "x" * 1_100_000})

    def missing(self) -> Kafka:
        return self.sink(topic="missing")
