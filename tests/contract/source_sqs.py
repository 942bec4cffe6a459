"""The harness of the sqs source, with a standard queue."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from tests.contract.fake_aws import Refusal
from tests.contract.fake_sqs import FakeSqs
from tests.contract.source_harness import SourceHarness


class SqsSourceHarness(SourceHarness):
    name: ClassVar[str] = "sqs"
    queue: ClassVar[str] = "incoming"
    group: ClassVar[str] = ""

    async def __aenter__(self) -> Self:
        self.sqs = await FakeSqs(self.queue).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sqs.__aexit__()

    def settings(self, *, bounded: bool = False) -> dict[str, Any]:
        where = {"queue": self.queue, "region": "eu-west-1", "endpoint_url": self.sqs.url}
        return {"type": "sqs", **where, "route": "orders", "wait": "1s"} | (
            {"window": self.most_held} if bounded else {}
        )

    async def send(self, bodies: Sequence[bytes]) -> None:
        await self.sqs.send(bodies, self.group)

    async def acknowledged(self, count: int) -> list[bytes]:
        await self.sqs.until(lambda: len(self.sqs.deleted) >= count)
        return await self.acknowledged_now()

    async def acknowledged_now(self) -> list[bytes]:
        return [body.encode() for body in self.sqs.deleted]

    async def taken(self, count: int) -> None:
        await self.sqs.until(lambda: len(self.sqs.invisible) >= count)

    async def taken_now(self) -> int:
        return len(self.sqs.invisible)

    async def available(self, count: int) -> None:
        await self.sqs.until(lambda: len(self.sqs.messages) - len(self.sqs.invisible) >= count)

    def fail(self) -> None:
        for operation in ("ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "GetQueueUrl"):
            self.sqs.refusals[operation] = Refusal("AccessDeniedException")

    def recover(self) -> None:
        self.sqs.refusals.clear()
