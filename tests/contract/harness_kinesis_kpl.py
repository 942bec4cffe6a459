"""A fake data stream of three shards with aggregated records: the events of one share its fate, so none fails alone."""

from typing import Any, ClassVar, Self

from service.sinks.contract import Sink
from service.sinks.kinesis import Kinesis
from tests.contract.aws_harness import AwsHarness
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import Fault, Harness, Received
from tests.contract.kpl_consumer import consumed


class Ready(Kinesis):
    """A sink that is entered once it knows the shards, without which it does not aggregate."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self.shards.look_up()
        return self


class AggregatingKinesisHarness(AwsHarness):
    """User records of one stream, as a consumer takes them out of its records."""

    name = "kinesis-kpl"
    setting = "stream"
    settings: ClassVar[dict[str, Any]] = {"aggregate": "kpl"}
    faults: ClassVar[frozenset[Fault]] = AwsHarness.faults - {Fault.PARTIAL}
    fail_events = Harness.fail_events

    def create(self, aws: FakeAws) -> None:
        aws.streams[self.destination] = []
        aws.shards.split(into=3)

    def sink(self) -> Sink:
        config = Kinesis.Config(
            type="kinesis", stream=self.destination, region="eu-west-1", endpoint_url=self.aws.url, **self.settings
        )
        return Ready("kinesis", config)

    async def received(self) -> list[Received]:
        return consumed(self.aws.streams[self.destination])
