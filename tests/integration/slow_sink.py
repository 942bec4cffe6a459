"""A destination that takes its time, and keeps what it took in a file, as somebody else's plugin."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from service.outcome import DELIVERED, Outcome
from service.sinks.contract import Batch, Limits, SinkConfig
from service.units import Duration


class Slow:
    """Appends key and body of each event to the file at `path`, a line each, after `takes`; then says so."""

    class Config(SinkConfig):
        """Where, and how slowly."""

        path: Path
        takes: Duration = 0.0

    carries_attributes: ClassVar[bool] = True
    limits = Limits(batch_events=10, batch_bytes=2**20, event_bytes=2**20)

    def __init__(self, name: str, config: Config) -> None:
        del name
        self._config = config

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """All."""
        await asyncio.sleep(self._config.takes)
        with self._config.path.open("ab") as file:
            file.writelines(b"%s %s\n" % ((event.key or "-").encode(), event.body) for event in batch.events)
        return [DELIVERED] * len(batch)

    async def probe(self) -> None:
        """Says nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
