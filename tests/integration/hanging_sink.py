"""A destination that never answers, as somebody else's plugin."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Self

from service.outcome import Outcome
from service.sinks.contract import Batch, Limits, SinkConfig


class Hanging:
    """Every write waits until it is cancelled."""

    class Config(SinkConfig):
        """Nothing of its own."""

    carries_attributes: ClassVar[bool] = True
    limits = Limits(batch_events=10, batch_bytes=2**20, event_bytes=2**20)

    def __init__(self, name: str, config: Config) -> None:
        del name, config

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """Never returns."""
        del batch
        await asyncio.Event().wait()
        return []

    async def probe(self) -> None:
        """Says nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
