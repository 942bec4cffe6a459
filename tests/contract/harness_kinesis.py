"""A fake data stream: refuses no single record for what is in it."""

from tests.contract.aws_harness import AwsHarness
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Received


class KinesisHarness(AwsHarness):
    """Records of one stream."""

    name = "kinesis"
    setting = "stream"

    def create(self, aws: FakeAws) -> None:
        aws.streams[self.destination] = []

    async def received(self) -> list[Received]:
        return [Received(data, key) for key, data in self.aws.streams[self.destination]]
