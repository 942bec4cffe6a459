"""A destination that is away until a file lies where it looks, as somebody else's plugin."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from service.outcome import DELIVERED, Outcome, Reason, Retry
from service.sinks.contract import Batch, Limits, ProbeError, SinkConfig


class Gated:
    """Appends the body of each event to the file at `path`, a line each, while the file `gate` is there."""

    class Config(SinkConfig):
        """Where."""

        path: Path
        gate: Path

    carries_attributes: ClassVar[bool] = True
    limits = Limits(batch_events=10, batch_bytes=2**24, event_bytes=2**24)

    def __init__(self, name: str, config: Config) -> None:
        del name
        self._config = config

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """All, or nothing."""
        if not self._config.gate.exists():
            return [Retry(Reason.UNAVAILABLE)] * len(batch)
        with self._config.path.open("ab") as file:
            file.writelines(event.body + b"\n" for event in batch.events)
        return [DELIVERED] * len(batch)

    async def probe(self) -> None:
        """Whether the gate is open."""
        if not self._config.gate.exists():
            raise ProbeError("the gate is closed")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
