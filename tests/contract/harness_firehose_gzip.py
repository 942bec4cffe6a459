"""A fake delivery stream with packed lines, each record compressed; what is read is the file that they make."""

from typing import Any, ClassVar

from service.event import Event
from service.sinks.unpacking import inflated, unpack
from tests.contract.aws_harness import AwsHarness
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Fault, Harness, Received, event


class GzipFirehoseHarness(AwsHarness):
    """Lines of one gzip file of many members."""

    name = "firehose-gzip"
    setting = "delivery_stream"
    settings: ClassVar[dict[str, Any]] = {"compress": "gzip"}
    faults: ClassVar[frozenset[Fault]] = AwsHarness.faults - {Fault.PARTIAL} | {Fault.REFUSE}
    fail_events = Harness.fail_events

    def create(self, aws: FakeAws) -> None:
        aws.delivery_streams[self.destination] = []

    async def received(self) -> list[Received]:
        records = self.aws.delivery_streams[self.destination]
        return [Received(line) for line in unpack(inflated(b"".join(records), "gzip"), "ndjson")] if records else []

    def poison(self, number: int) -> Event:
        return event(number, b"two\nlines %d" % number, content_type="text/plain")
