"""A fake standard queue with events after their lengths, as base64: it can hold anything, so there is no poison."""

from typing import Any, ClassVar

from service.event import Event
from service.sinks.unpacking import inflated, unpack
from tests.contract.aws_harness import AwsHarness
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Fault, Harness, Received, event


class PrefixedSqsHarness(AwsHarness):
    """Events in the messages of one queue."""

    name = "sqs-prefixed"
    setting = "queue"
    settings: ClassVar[dict[str, Any]] = {"pack": "length_prefixed"}
    faults: ClassVar[frozenset[Fault]] = AwsHarness.faults - {Fault.PARTIAL}
    fail_events = Harness.fail_events

    def create(self, aws: FakeAws) -> None:
        aws.queues[self.destination] = []

    def event(self, number: int, body: bytes | None = None) -> Event:
        return event(number, b"\0\n%d\xff" % number if body is None else body)

    async def received(self) -> list[Received]:
        bodies = [message["MessageBody"].encode() for message in self.aws.queues[self.destination]]
        packs = [inflated(body, "none", base64=True) for body in bodies]
        return [Received(each) for data in packs for each in unpack(data, "length_prefixed")]
