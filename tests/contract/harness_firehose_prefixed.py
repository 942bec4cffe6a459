"""A fake delivery stream with events after their lengths: it can hold anything, so there is no poison."""

from typing import Any, ClassVar

from service.event import Event
from service.sinks.unpacking import unpack
from tests.contract.aws_harness import AwsHarness
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Fault, Harness, Received, event


class PrefixedFirehoseHarness(AwsHarness):
    """Events of the one file that the records of a delivery stream make."""

    name = "firehose-prefixed"
    setting = "delivery_stream"
    settings: ClassVar[dict[str, Any]] = {"pack": "length_prefixed"}
    faults: ClassVar[frozenset[Fault]] = AwsHarness.faults - {Fault.PARTIAL}
    fail_events = Harness.fail_events

    def create(self, aws: FakeAws) -> None:
        aws.delivery_streams[self.destination] = []

    def event(self, number: int, body: bytes | None = None) -> Event:
        return event(number, b"\0\n%d\xff" % number if body is None else body)

    async def received(self) -> list[Received]:
        return [
            Received(each) for each in unpack(b"".join(self.aws.delivery_streams[self.destination]), "length_prefixed")
        ]
