"""A fake web hook, for the sink in `examples/custom_sink/`: somebody else's, under the same contract as ours."""

from collections.abc import Awaitable, Collection
from typing import ClassVar, Self

from examples.custom_sink.webhook import Webhook
from service.event import Event
from tests.contract.fake_webhook import POISON, FakeWebhook
from tests.contract.harness import Fault, Harness, Received, event


class WebhookHarness(Harness):
    """One hook. It answers each event alone, so no answer can have a wrong length."""

    name = "webhook"
    traced = True
    faults: ClassVar[frozenset[Fault]] = frozenset(Fault) - {Fault.WRONG_LENGTH}

    async def __aenter__(self) -> Self:
        self._hook = await FakeWebhook().__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._hook.__aexit__()

    def sink(self, path: str = "/hook") -> Webhook:
        return Webhook(self.name, Webhook.Config(type="webhook", url=self._hook.address + path))

    async def received(self) -> list[Received]:
        held = zip(self._hook.taken, self._hook.headers, strict=True)
        return [Received(body, None, headers) for body, headers in held]

    async def recover(self) -> None:
        self._hook.failing = ()
        self._hook.open.set()

    async def fail_events(self, positions: Collection[int]) -> None:
        self._hook.failing = [event(number).body for number in positions]

    async def fail_calls(self) -> None:
        self._hook.failing = None

    def hang(self) -> Awaitable[object]:
        self._hook.open.clear()
        return self._hook.waiting.wait()

    def poison(self, number: int) -> Event:
        return event(number, b'"' + POISON + b' %d"' % number)

    def missing(self) -> Webhook:
        return self.sink("/nowhere")
