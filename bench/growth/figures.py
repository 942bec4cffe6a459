"""What growth found: the cost of an event at each size over its cost at the smallest, against the bound; tables."""

from collections.abc import Sequence
from math import nan
from statistics import median

from msgspec import Struct

from bench import grid
from bench.growth.axes import Axis
from bench.measure import Measured

MOST_GROWTH = 0.2
"""What the cost of an event, and memory over the minutes, may be above the smallest size's, or the first minute's."""


class Growth(Struct):
    """One axis: runs by size, in the order of their rounds."""

    axis: Axis
    runs: dict[int, list[Measured]]
    failure: str = ""

    @property
    def sizes(self) -> list[int]:
        """From the smallest on."""
        return [size for size, _ in self.axis.sizes]

    def cpu(self, size: int) -> float:
        """Microseconds of CPU per event, median; nan if there was no run."""
        runs = self.runs.get(size)
        return median([each.cpu_microseconds for each in runs]) if runs else nan

    def ratio(self, size: int) -> float:
        """Cost of an event over that at the smallest size: the median of the rounds' ratios, which drift together."""
        pairs = zip(self.runs.get(size, ()), self.runs.get(self.sizes[0], ()), strict=False)
        ratios = [each.cpu_microseconds / least.cpu_microseconds for each, least in pairs]
        return median(ratios) if ratios else nan

    def peak_mib(self, size: int) -> float:
        """The most that was resident, in MiB; nan if there was no run."""
        return max((each.peak_bytes for each in self.runs.get(size, ())), default=nan) / 2**20

    @property
    def over(self) -> list[int]:
        """Sizes at which an event costs more than the bound allows."""
        return [size for size in self.sizes if self.ratio(size) > 1 + MOST_GROWTH]

    @property
    def void(self) -> list[str]:
        """Why it does not count; empty if it does."""
        return [
            f"{self.axis.name} {size}: {reason}"
            for size in self.sizes
            for each in self.runs.get(size, ())
            for reason in reasons(each)
        ]


class Minute(Struct, frozen=True):
    """One minute of a service that has always the same to do."""

    run: Measured
    resident_bytes: int
    """At its end."""


class Minutes(Struct):
    """A service over time."""

    minutes: list[Minute]
    failure: str = ""

    def ratio(self, index: int) -> float:
        """Cost of an event in minute `index` over that in the first one."""
        return self.minutes[index].run.cpu_microseconds / self.minutes[0].run.cpu_microseconds

    def memory_ratio(self, index: int) -> float:
        """Resident memory at the end of minute `index` over that of the first one."""
        return self.minutes[index].resident_bytes / self.minutes[0].resident_bytes

    @property
    def over(self) -> list[int]:
        """Minutes, from 0, in which cost or memory was above the bound."""
        most = 1 + MOST_GROWTH
        return [at for at in range(len(self.minutes)) if self.ratio(at) > most or self.memory_ratio(at) > most]

    @property
    def void(self) -> list[str]:
        """Why it does not count; empty if it does."""
        return [f"minute {at + 1}: {reason}" for at, each in enumerate(self.minutes) for reason in reasons(each.run)]


def reasons(run: Measured) -> list[str]:
    """Why a run at a fixed rate does not count."""
    return [*run.void, *(["not all requests were sent and answered in time"] if run.fell_behind else [])]


HEAD = ("what grows", "size", "x smallest", "µs CPU", "p50 ms", "p99 ms", "MiB", "")
MINUTES_HEAD = ("minute", "x first", "µs CPU", "p50 ms", "p99 ms", "MiB", "x first, MiB", "")


def cells(growth: Growth) -> list[list[str]]:
    """The rows of an axis in the table."""
    if growth.failure:
        return [[growth.axis.title, *[""] * (len(HEAD) - 2), f"FAILED: {growth.failure.splitlines()[0]}"]]
    rows = []
    for size in growth.sizes:
        runs = growth.runs[size]
        note = "OVER" if size in growth.over else ""
        rows.append(
            [
                growth.axis.title,
                f"{size:,}",
                f"{growth.ratio(size):.2f}",
                f"{growth.cpu(size):.1f}",
                f"{median([each.p50_ms for each in runs]):.2f}",
                f"{median([each.p99_ms for each in runs]):.2f}",
                f"{growth.peak_mib(size):.0f}",
                " ".join(filter(None, (note, "VOID" if any(map(reasons, runs)) else ""))),
            ]
        )
    return rows


def minute_cells(found: Minutes) -> list[list[str]]:
    """The rows of the table over time."""
    rows = []
    for at, each in enumerate(found.minutes):
        note = ("OVER" if at in found.over else "", "VOID" if reasons(each.run) else "")
        rows.append(
            [
                str(at + 1),
                f"{found.ratio(at):.2f}",
                f"{each.run.cpu_microseconds:.1f}",
                f"{each.run.p50_ms:.2f}",
                f"{each.run.p99_ms:.2f}",
                f"{each.resident_bytes / 2**20:.1f}",
                f"{found.memory_ratio(at):.2f}",
                " ".join(filter(None, note)),
            ]
        )
    return rows


def verdicts(growths: Sequence[Growth], minutes: Minutes | None) -> list[str]:
    """What kept its bound and what did not, a sentence each."""
    lines = []
    for growth in growths:
        if growth.failure:
            lines.append(f"{growth.axis.title}: FAILED")
            continue
        most = max(growth.sizes, key=growth.ratio)
        what = f"{growth.axis.title}, {growth.sizes[0]:,} to {growth.sizes[-1]:,}"
        lines.append(_verdict(what, growth.ratio(most), f"at {most:,}", not growth.over))
    if minutes is not None and minutes.minutes:
        every = range(len(minutes.minutes))
        for what, ratio in (("CPU per event", minutes.ratio), ("resident memory", minutes.memory_ratio)):
            most = max(every, key=ratio)
            name = f"{what} over {len(minutes.minutes)} minutes"
            lines.append(_verdict(name, ratio(most), f"in minute {most + 1}", ratio(most) <= 1 + MOST_GROWTH))
    return lines


def _verdict(what: str, ratio: float, where: str, kept: bool) -> str:
    return f"{what}: at most x {ratio:.2f}, {where} (bound x {1 + MOST_GROWTH:.2f}: {'kept' if kept else 'EXCEEDED'})"


def text(growths: Sequence[Growth], minutes: Minutes | None) -> str:
    """The tables in columns, and the verdicts."""
    parts = []
    if growths:
        parts.append(grid.text(HEAD, [row for growth in growths for row in cells(growth)]))
    if minutes is not None and minutes.minutes:
        parts.append(grid.text(MINUTES_HEAD, minute_cells(minutes)))
    return "\n\n".join([*parts, "\n".join(verdicts(growths, minutes))])
