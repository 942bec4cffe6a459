"""A fake standard queue with arrays, compressed, as base64."""

from typing import Any, ClassVar

from service.event import Event
from service.sinks.unpacking import inflated, unpack
from tests.contract.aws_harness import AwsHarness
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Fault, Harness, Received, event


class ArraySqsHarness(AwsHarness):
    """Elements of the arrays in the messages of one queue."""

    name = "sqs-array"
    setting = "queue"
    settings: ClassVar[dict[str, Any]] = {"pack": "json_array", "compress": "gzip"}
    faults: ClassVar[frozenset[Fault]] = AwsHarness.faults - {Fault.PARTIAL} | {Fault.REFUSE}
    fail_events = Harness.fail_events

    def create(self, aws: FakeAws) -> None:
        aws.queues[self.destination] = []

    async def received(self) -> list[Received]:
        bodies = [message["MessageBody"].encode() for message in self.aws.queues[self.destination]]
        packs = [inflated(body, "gzip", base64=True) for body in bodies]
        return [Received(each) for data in packs for each in unpack(data, "json_array")]

    def poison(self, number: int) -> Event:
        return event(number, b"},{%d" % number)
