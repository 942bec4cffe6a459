"""A destination that all replicas share: one file, in the order in which they deliver."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from service.outcome import DELIVERED, Outcome, Reason, Retry
from service.sinks.contract import Batch, Limits, ProbeError, SinkConfig


class Shared:
    """Appends the bodies of a call to the file at `path`, a line each, in one write; fails while `closed` is there."""

    class Config(SinkConfig):
        """Where."""

        path: Path
        closed: Path

    carries_attributes: ClassVar[bool] = True
    limits = Limits(batch_events=100, batch_bytes=2**20, event_bytes=2**20)

    def __init__(self, name: str, config: Config) -> None:
        del name
        self._config = config

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """All, or nothing."""
        if self._config.closed.exists():
            return [Retry(Reason.UNAVAILABLE)] * len(batch)
        file = os.open(self._config.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, b"".join([event.body + b"\n" for event in batch.events]))
        finally:
            os.close(file)
        # a destination takes its time, so that there is always something in flight
        await asyncio.sleep(0.005)
        return [DELIVERED] * len(batch)

    async def probe(self) -> None:
        """Whether it takes something."""
        if self._config.closed.exists():
            raise ProbeError("it is closed")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
