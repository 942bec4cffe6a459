"""A destination that takes its time, and keeps what it took in a file, as somebody else's plugin."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from service.event import Event
from service.outcome import DELIVERED, Outcome
from service.sinks.contract import Batch, Limits, SinkConfig
from service.units import Duration


class Slow:
    """Appends a line for each event to the file at `path`, after `takes`; then says so. Processes may share the file:
    the lines of a batch are one write(2).
    """

    class Config(SinkConfig):
        """Where, and how slowly."""

        path: Path
        takes: Duration = 0.0

    carries_attributes: ClassVar[bool] = True
    limits = Limits(batch_events=10, batch_bytes=2**20, event_bytes=2**20)

    def __init__(self, name: str, config: Config) -> None:
        del name
        self._config = config

    def line(self, event: Event) -> bytes:
        """Key and body."""
        return b"%s %s\n" % ((event.key or "-").encode(), event.body)

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """All."""
        await asyncio.sleep(self._config.takes)
        with self._config.path.open("ab", buffering=0) as file:
            file.write(b"".join(map(self.line, batch.events)))
        return [DELIVERED] * len(batch)

    async def probe(self) -> None:
        """Says nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
