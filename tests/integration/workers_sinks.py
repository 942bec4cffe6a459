"""Destinations for tests of workers, as somebody else's plugins: one that takes its time, one that ends its process."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from service.outcome import DELIVERED, Outcome
from service.sinks.contract import Batch, Limits, SinkConfig
from service.units import Duration


class Slow:
    """Appends the id of its process, and each event, to a file of all processes; after a while."""

    class Config(SinkConfig):
        """Where, and how slow."""

        path: Path
        takes: Duration = 0.0

    carries_attributes: ClassVar[bool] = True
    limits = Limits(batch_events=100, batch_bytes=2**20, event_bytes=2**20)

    def __init__(self, name: str, config: Config) -> None:
        del name
        self._config = config

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """One write(2) a batch, appended."""
        await asyncio.sleep(self._config.takes)
        lines = b"".join(b"%d %s\n" % (os.getpid(), event.body) for event in batch.events)
        with self._config.path.open("ab", buffering=0) as file:
            file.write(lines)
        return [DELIVERED] * len(batch)

    async def probe(self) -> None:
        """Says nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Deadly(Slow):
    """Its process does not live to see it entered."""

    class Config(Slow.Config):
        """Nothing of its own."""

    async def __aenter__(self) -> Self:
        os._exit(7)
