"""A destination that takes everything and keeps nothing, for measurements of what comes before it."""

from collections.abc import Sequence
from typing import ClassVar, Self

from service.outcome import DELIVERED, Outcome
from service.sinks.contract import Batch, Limits, SinkConfig


class Nowhere:
    """Delivered at once."""

    class Config(SinkConfig):
        """It has no settings of its own."""

    carries_attributes: ClassVar[bool] = True
    limits = Limits(batch_events=1000, batch_bytes=8 * 2**20, event_bytes=2**20)

    def __init__(self, name: str, config: Config) -> None:
        del name, config

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        return [DELIVERED] * len(batch.events)

    async def probe(self) -> None:
        """It is always there."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""
