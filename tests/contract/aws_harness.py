"""What the harnesses of the AWS sinks share: the fake, its faults, and the settings that lead there."""

from collections.abc import Collection
from typing import Any, ClassVar, Self

from service.event import Event
from service.plugins import load
from service.sinks.contract import Sink
from tests.contract.fake_aws import FakeAws, Refusal
from tests.contract.harness import Fault, Harness, event


class AwsHarness(Harness):
    """A sink of one of the fake's services."""

    faults: ClassVar[frozenset[Fault]] = frozenset(
        {Fault.PARTIAL, Fault.CALL, Fault.HANG, Fault.WRONG_LENGTH, Fault.MISSING}
    )
    setting: ClassVar[str]
    """The setting that names the destination."""
    destination: ClassVar[str] = "orders"
    settings: ClassVar[dict[str, Any]] = {}

    async def __aenter__(self) -> Self:
        self.aws = await FakeAws().__aenter__()
        self.create(self.aws)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aws.__aexit__()

    def create(self, aws: FakeAws) -> None:
        """Make the destination."""
        raise NotImplementedError

    def sink(self) -> Sink:
        return self._made(self.destination)

    def missing(self) -> Sink:
        return self._made(f"no-{self.destination}")

    def _made(self, destination: str) -> Sink:
        type_ = self.name.partition("-")[0]
        where = {self.setting: destination, "region": "eu-west-1", "endpoint_url": self.aws.url}
        plugin = load("sinks", type_)
        made: Sink = plugin(self.name, plugin.Config(type=type_, **where, **self.settings))
        return made

    async def recover(self) -> None:
        self.aws.recover()

    async def fail_events(self, positions: Collection[int]) -> None:
        self.aws.fail(positions)

    async def fail_calls(self) -> None:
        self.aws.refusal = Refusal("InternalFailure", 500)

    def hang(self) -> Any:
        return self.aws.hang()

    async def answer_wrong_length(self) -> None:
        self.aws.short = True


def told(message: dict[str, Any]) -> dict[str, str]:
    """The attributes of a message of SQS."""
    return {name: each["StringValue"] for name, each in message.get("MessageAttributes", {}).items()}


def unprintable(number: int) -> Event:
    """An event whose body SQS does not allow."""
    return event(number, b'{"number":%d,"text":"\x00"}' % number)
