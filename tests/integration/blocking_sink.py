"""A destination whose client blocks the event loop, as somebody else's plugin must not."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from service.outcome import DELIVERED, Outcome
from service.sinks.contract import Batch, Limits, SinkConfig


class Blocking:
    """Every write waits, with all else, until somebody opens a named pipe for writing."""

    class Config(SinkConfig):
        """And where the pipe is."""

        path: Path

    carries_attributes: ClassVar[bool] = True
    limits = Limits(batch_events=10, batch_bytes=2**20, event_bytes=2**20)

    def __init__(self, name: str, config: Config) -> None:
        del name
        self._path = config.path

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """Delivered, in the end."""
        os.close(os.open(self._path, os.O_RDONLY))
        return [DELIVERED] * len(batch)

    async def probe(self) -> None:
        """Says nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
