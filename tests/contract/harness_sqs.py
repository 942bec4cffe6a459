"""A fake standard queue."""

from typing import ClassVar

from service.event import Event
from tests.contract.aws_harness import AwsHarness, told, unprintable
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Fault, Received


class SqsHarness(AwsHarness):
    """Messages of one queue, which knows no groups."""

    name = "sqs"
    setting = "queue"
    traced = True
    faults: ClassVar[frozenset[Fault]] = AwsHarness.faults | {Fault.REFUSE}

    def create(self, aws: FakeAws) -> None:
        aws.queues[self.destination] = []

    async def received(self) -> list[Received]:
        held = self.aws.queues[self.destination]
        return [Received(message["MessageBody"].encode(), None, told(message)) for message in held]

    def poison(self, number: int) -> Event:
        return unprintable(number)
