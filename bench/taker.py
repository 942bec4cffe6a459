"""A sink that takes everything at once and keeps nothing: the cheapest destination there can be."""

from collections.abc import Sequence
from typing import ClassVar, Self

from service.outcome import DELIVERED, Outcome
from service.sinks.contract import Batch, Limits, SinkConfig


class Taker:
    """Says `Delivered` of everything."""

    Config = SinkConfig
    carries_attributes: ClassVar[bool] = True
    limits = Limits(batch_events=10_000, batch_bytes=8 * 2**20, event_bytes=8 * 2**20)

    def __init__(self, name: str, config: SinkConfig) -> None:
        self.name = name

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """One outcome per event."""
        return [DELIVERED] * len(batch)

    async def probe(self) -> None:
        """Always usable."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to release."""
