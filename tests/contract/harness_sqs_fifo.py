"""A fake FIFO queue: holds a repeated deduplication id once."""

from typing import ClassVar

from service.event import Event
from tests.contract.aws_harness import AwsHarness, told, unprintable
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Fault, Received


class FifoSqsHarness(AwsHarness):
    """Messages of one queue, with their groups."""

    name = "sqs-fifo"
    setting = "queue"
    traced = True
    destination = "orders.fifo"
    faults: ClassVar[frozenset[Fault]] = AwsHarness.faults | {Fault.REFUSE}

    def create(self, aws: FakeAws) -> None:
        aws.queues[self.destination] = []

    async def received(self) -> list[Received]:
        held = self.aws.queues[self.destination]
        return [Received(each["MessageBody"].encode(), each["MessageGroupId"], told(each)) for each in held]

    def poison(self, number: int) -> Event:
        return unprintable(number)
