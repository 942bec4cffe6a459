"""The harness of the kafka source, over one partition of librdkafka's mock cluster."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

from deploy.local.mock_cluster import MockCluster
from tests.contract.mock_kafka import committed, produce
from tests.contract.source_harness import SourceHarness


class KafkaSourceHarness(SourceHarness):
    name: ClassVar[str] = "kafka"
    least_held: ClassVar[int] = 16

    async def __aenter__(self) -> Self:
        self._sent: list[bytes] = []
        self.cluster = MockCluster(["incoming"], partitions=1, brokers=1).__enter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.cluster.__exit__)

    def settings(self, *, bounded: bool = False) -> dict[str, Any]:
        own = {"type": "kafka", "brokers": self.cluster.bootstrap, "group": "penstock", "commit_interval": "50ms"}
        return own | {"topics": {"incoming": "orders"}} | ({"window_messages": self.most_held} if bounded else {})

    async def send(self, bodies: Sequence[bytes]) -> None:
        await asyncio.to_thread(produce, self.cluster.bootstrap, "incoming", bodies)
        self._sent += bodies

    async def acknowledged(self, count: int) -> list[bytes]:
        return await self._until(lambda acknowledged: len(acknowledged) >= count)

    async def acknowledged_now(self) -> list[bytes]:
        return self._sent[: await asyncio.to_thread(committed, self.cluster.bootstrap, "incoming", "penstock")]

    async def available(self, count: int) -> None:
        await self._until(lambda acknowledged: len(self._sent) - len(acknowledged) >= count)

    async def taken(self, count: int) -> None:
        await self._service.until(lambda found: found.total("penstock_source_partitions_paused") == 1)

    async def taken_now(self) -> int:
        return (await self._service.metrics()).total("penstock_source_messages_unsettled")

    def fail(self) -> None:
        self.cluster.down()

    def recover(self) -> None:
        self.cluster.up()

    async def _until(self, holds: Callable[[list[bytes]], bool]) -> list[bytes]:
        while not holds(found := await self.acknowledged_now()):
            await asyncio.sleep(0.02)
        return found
