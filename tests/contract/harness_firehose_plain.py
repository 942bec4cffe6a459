"""A fake delivery stream with one event to a record."""

from typing import Any, ClassVar

from tests.contract.aws_harness import AwsHarness
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Received


class PlainFirehoseHarness(AwsHarness):
    """Records of one delivery stream, each with the newline that the sink appends."""

    name = "firehose-plain"
    setting = "delivery_stream"
    settings: ClassVar[dict[str, Any]] = {"pack": "none"}

    def create(self, aws: FakeAws) -> None:
        aws.delivery_streams[self.destination] = []

    async def received(self) -> list[Received]:
        records = self.aws.delivery_streams[self.destination]
        assert all(record.count(b"\n") == 1 for record in records)
        return [Received(record.removesuffix(b"\n")) for record in records]
