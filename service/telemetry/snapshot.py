"""What a process is like at one moment, all in plain values: taken to be shown, sent to another process, or summed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from service.telemetry import journal, lane, source
from service.telemetry.histogram import Histogram
from service.telemetry.journal import JournalGauges
from service.telemetry.lag import LoopGauges, worst
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import Loss, Meter
from service.telemetry.source import SourceGauges


class Snapshot(Struct):
    """One process, or several that are summed."""

    phase: str
    """Of `delivery.health.Phase`."""
    meter: Meter
    lanes: list[LaneGauges]
    bills: dict[str, dict[str, int]]
    """By sink whose destination bills by something else than events: counts by the name of a counter."""
    troubles: list[dict[str, Any]]
    """What is wrong with which destination."""
    journal: JournalGauges | None = None
    """What is stored; None where nothing ever is."""
    sources: list[SourceGauges] = []
    loop: LoopGauges = LoopGauges()
    recent: dict[str, Histogram] = {}
    """Delivery times of the last minute, by sink."""

    def close(self, loss: Loss) -> None:
        """Its process is gone: only what was counted stays; see `Meter.close`."""
        self.meter.close(loss)
        self.lanes = []
        self.troubles = []
        self.journal = None
        self.sources = []
        self.loop = LoopGauges()
        self.recent = {}


def summed(phase: str, parts: Iterable[Snapshot]) -> Snapshot:
    """The sum of several processes, as if they were one; new objects all."""
    result = Snapshot(phase, Meter(), [], {}, [])
    lanes: dict[str, list[LaneGauges]] = {}
    parts = list(parts)
    for part in parts:
        result.meter.add(part.meter)
        result.troubles += part.troubles
        for gauges in part.lanes:
            lanes.setdefault(gauges.sink, []).append(gauges)
        for sink, times in part.recent.items():
            result.recent.setdefault(sink, Histogram(times.bounds)).add(times)
        for sink, bill in part.bills.items():
            total = result.bills.setdefault(sink, {})
            for name, count in bill.items():
                total[name] = total.get(name, 0) + count
    result.loop = worst([part.loop for part in parts])
    result.journal = journal.summed([part.journal for part in parts if part.journal is not None])
    sources: dict[str, list[SourceGauges]] = {}
    for part in parts:
        for each in part.sources:
            sources.setdefault(each.source, []).append(each)
    result.sources = [source.summed(of) for of in sources.values()]
    result.lanes = [lane.summed(each) for each in lanes.values()]
    return result


def read_counter(kind: type[Any], value: Mapping[Any, int]) -> Any:
    """msgspec's `dec_hook` for what a meter holds: a Counter comes as a plain mapping."""
    del kind
    return Counter(value)
