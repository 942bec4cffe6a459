"""The fake web hook with a sink that takes one event a write: the suite keeps the smallest limit, too."""

from collections.abc import Sequence

from examples.custom_sink.webhook import Webhook
from service.outcome import Outcome
from service.sinks.contract import Batch, Limits
from tests.contract.harness_webhook import WebhookHarness


class _Single(Webhook):
    limits = Limits(batch_events=1, batch_bytes=2**20, event_bytes=2**20)

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """The lane never gives it more, and neither may the suite."""
        assert len(batch) == 1
        return await super().write(batch)


class WebhookSingleHarness(WebhookHarness):
    """One hook, one event a write."""

    name = "webhook-single"

    def sink(self, path: str = "/hook") -> Webhook:
        return _Single(self.name, Webhook.Config(type="webhook", url=self._hook.address + path))
