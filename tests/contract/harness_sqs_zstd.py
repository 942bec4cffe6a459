"""A fake FIFO queue with one compressed event to a message."""

from typing import Any, ClassVar

from service.sinks.unpacking import inflated
from tests.contract.aws_harness import AwsHarness, told
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Received


class ZstdSqsHarness(AwsHarness):
    """Messages of one queue, with their groups."""

    name = "sqs-zstd"
    setting = "queue"
    traced = True
    destination = "orders.fifo"
    settings: ClassVar[dict[str, Any]] = {"compress": "zstd"}

    def create(self, aws: FakeAws) -> None:
        aws.queues[self.destination] = []

    async def received(self) -> list[Received]:
        held = self.aws.queues[self.destination]
        return [
            Received(inflated(each["MessageBody"].encode(), "zstd", base64=True), each["MessageGroupId"], told(each))
            for each in held
        ]
