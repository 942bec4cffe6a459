"""A fake delivery stream with arrays, each record compressed."""

from typing import Any, ClassVar

from service.event import Event
from service.sinks.unpacking import inflated, unpack
from tests.contract.aws_harness import AwsHarness
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Fault, Harness, Received, event


class ArrayFirehoseHarness(AwsHarness):
    """Elements of the arrays in one delivery stream."""

    name = "firehose-array"
    setting = "delivery_stream"
    settings: ClassVar[dict[str, Any]] = {"pack": "json_array", "compress": "zstd"}
    faults: ClassVar[frozenset[Fault]] = AwsHarness.faults - {Fault.PARTIAL} | {Fault.REFUSE}
    fail_events = Harness.fail_events

    def create(self, aws: FakeAws) -> None:
        aws.delivery_streams[self.destination] = []

    async def received(self) -> list[Received]:
        records = self.aws.delivery_streams[self.destination]
        return [Received(each) for record in records for each in unpack(inflated(record, "zstd"), "json_array")]

    def poison(self, number: int) -> Event:
        return event(number, b"},{%d" % number)
