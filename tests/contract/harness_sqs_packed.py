"""A fake standard queue with packed lines: the events of one message share its fate, so none fails alone."""

from typing import Any, ClassVar

from service.event import Event
from service.sinks.unpacking import unpack
from tests.contract.aws_harness import AwsHarness, unprintable
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Fault, Harness, Received


class PackedSqsHarness(AwsHarness):
    """Lines of the messages of one queue."""

    name = "sqs-packed"
    setting = "queue"
    settings: ClassVar[dict[str, Any]] = {"pack": "ndjson"}
    faults: ClassVar[frozenset[Fault]] = AwsHarness.faults - {Fault.PARTIAL} | {Fault.REFUSE}
    fail_events = Harness.fail_events

    def create(self, aws: FakeAws) -> None:
        aws.queues[self.destination] = []

    async def received(self) -> list[Received]:
        bodies = [message["MessageBody"].encode() for message in self.aws.queues[self.destination]]
        return [Received(line) for body in bodies for line in unpack(body, "ndjson")]

    def poison(self, number: int) -> Event:
        return unprintable(number)
