"""A fake delivery stream with packed records: the events of one record share its fate, so none fails alone."""

from typing import ClassVar

from service.event import Event
from tests.contract.aws_harness import AwsHarness
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Fault, Harness, Received, event


class FirehoseHarness(AwsHarness):
    """Lines of the records of one delivery stream."""

    name = "firehose"
    setting = "delivery_stream"
    faults: ClassVar[frozenset[Fault]] = AwsHarness.faults - {Fault.PARTIAL} | {Fault.REFUSE}
    fail_events = Harness.fail_events

    def create(self, aws: FakeAws) -> None:
        aws.delivery_streams[self.destination] = []

    async def received(self) -> list[Received]:
        records = self.aws.delivery_streams[self.destination]
        assert all(record.endswith(b"\n") for record in records)
        return [Received(line) for record in records for line in record.splitlines()]

    def poison(self, number: int) -> Event:
        return event(number, b"two\nlines %d" % number, content_type="text/plain")
