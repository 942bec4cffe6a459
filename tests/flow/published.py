"""CloudWatch as a script says: it takes what it is sent, refuses it, asks to wait, or never answers."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.cloudwatch.datum import Datum
from service.cloudwatch.publisher import Publisher
from service.cloudwatch.way import Packed, Unsent
from service.delivery.lane import Lane
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import Meter
from service.telemetry.snapshot import Snapshot

REQUEST_DATUMS = 20
"""Small, so that a flush takes several."""


@dataclass
class Cloud:
    """Both a way and what is at its end."""

    trouble: Unsent | None = None
    hangs: bool = False
    seconds: float = 0.02
    asked: int = 0
    taken: list[list[Any]] = field(default_factory=list)
    """Name, dimension and values of each datum."""

    def packed(self, data: Sequence[Datum], moment: float) -> list[Packed]:
        del moment
        rows = [[datum.metric.name, datum.of, list(datum.values), list(datum.counts)] for datum in data]
        parts = [rows[at : at + REQUEST_DATUMS] for at in range(0, len(rows), REQUEST_DATUMS)]
        return [Packed(json.dumps(part).encode(), len(part)) for part in parts]

    async def send(self, packed: Packed) -> None:
        self.asked += 1
        await asyncio.sleep(1e9 if self.hangs else self.seconds)
        if self.trouble is not None:
            raise self.trouble
        self.taken += json.loads(packed.body)

    def sum(self, name: str) -> float:
        """Of all that was taken of a metric, over all its dimensions."""
        return float(sum(value for each, _, values, _ in self.taken if each == name for value in values))


async def at_once(function: Callable[..., Any], /, *arguments: object) -> Any:
    """Instead of a thread, which knows no simulated clock."""
    return function(*arguments)


def snapshot(meter: Meter, lanes: Sequence[Lane] = ()) -> Snapshot:
    """What the process is like now."""
    gauges = [
        LaneGauges(
            lane.name, lane.held_bytes, lane.capacity, len(lane.calls), 1, 0, 1, 0.0, lane.oldest_age(), "closed"
        )
        for lane in lanes
    ]
    return Snapshot("serving", meter, gauges, {}, [])


def publisher(cloud: Cloud, meter: Meter, interval: float, lanes: Sequence[Lane] = ()) -> Publisher:
    """One that tells `cloud` of `meter`."""

    async def taken() -> Snapshot:
        return snapshot(meter, lanes)

    return Publisher(cloud, taken, meter, interval, apart=at_once)
