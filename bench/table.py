"""What the rows found, as ratios inside one run: text for the terminal, Markdown for the file."""

from collections.abc import Sequence
from math import isnan, nan
from statistics import median

from msgspec import Struct

from bench import grid
from bench.contestants import Side
from bench.measure import Measured
from bench.rows import Row

OF_PRIMITIVES = 0.8
"""Share of the sum of the primitives that is enough, where a goal is above it."""
MOST_MEMORY_MIB = 130
MOST_LATENCY = 0.1
"""Of the naive service's p99."""


class Result(Struct):
    """One row: runs by side, in the order of their rounds."""

    row: Row
    runs: dict[Side, list[Measured]]
    parts: dict[str, float] = {}
    """Microseconds per event of each primitive."""
    failure: str = ""

    def per_second(self, side: Side) -> float:
        """Events a second, median; nan if there was no run."""
        return median([each.per_second for each in self.runs[side]]) if self.runs.get(side) else nan

    @property
    def times_naive(self) -> float:
        """Ours in multiples of the naive service: the median of the rounds' ratios, which drift together."""
        pairs = zip(self.runs.get(Side.OURS, ()), self.runs.get(Side.NAIVE, ()), strict=False)
        ratios = [ours.per_second / naive.per_second for ours, naive in pairs]
        return median(ratios) if ratios else nan

    @property
    def primitives(self) -> float:
        """Events a second if there were nothing but the request machinery's ceiling and the primitives."""
        return 1e6 / (sum(self.parts.values()) + self.machinery) if self.parts else nan

    @property
    def machinery(self) -> float:
        """Microseconds of CPU per event that the ceiling takes, 0 if it was not run. Its CPU, not its rate: it may
        answer faster than load is made."""
        runs = self.runs.get(Side.CEILING)
        return median([each.cpu_microseconds for each in runs]) if runs else 0.0

    @property
    def goal(self) -> float:
        """Multiples of the naive service to reach: the row's, or OF_PRIMITIVES of the sum where that is less."""
        most = OF_PRIMITIVES * self.primitives / self.per_second(Side.NAIVE)
        return min(self.row.goal, most) if self.row.goal and not isnan(most) else self.row.goal

    @property
    def void(self) -> list[str]:
        """Why the row does not count. A ceiling that the load did not reach is only a ceiling too low."""
        runs = [each for side in (Side.OURS, Side.NAIVE) for each in self.runs.get(side, ())]
        return [f"{each.side}: {reason}" for each in runs for reason in each.void]


class Latency(Struct):
    """p99 in open loop, one event a request to Kafka."""

    naive_rate: float
    rate: float
    naive: Measured
    ours: Measured
    ceiling: Measured

    @property
    def ratio(self) -> float:
        """Our p99 over the naive service's."""
        return self.ours.p99_ms / self.naive.p99_ms

    @property
    def void(self) -> list[str]:
        """Why it does not count."""
        return [f"{each.side}: {reason}" for each in (self.naive, self.ours, self.ceiling) for reason in each.void]


HEAD = (
    "work",
    "naive/s",
    "ours/s",
    "x naive",
    "goal",
    "of ceiling",
    "of primitives",
    "x naive, CPU",
    "µs CPU",
    "p99 ms",
    "MiB",
    "headers",
    "",
)


def cells(result: Result) -> list[str]:
    """The row of the table."""
    if result.failure:
        return [result.row.title, *[""] * (len(HEAD) - 2), f"FAILED: {result.failure.splitlines()[0]}"]
    ours, naive = result.runs.get(Side.OURS, []), result.runs.get(Side.NAIVE, [])
    rate = result.per_second(Side.OURS)
    cpu, naive_cpu = (_median([each.cpu_microseconds for each in runs]) for runs in (ours, naive))
    goal = result.goal
    return [
        result.row.title,
        _number(result.per_second(Side.NAIVE), ",.0f"),
        _number(rate, ",.0f"),
        _number(result.times_naive, ".1f"),
        (f">= {goal:.1f} " + ("reached" if result.times_naive >= goal else "missed"))
        if goal and ours and naive
        else "",
        _number(rate / result.per_second(Side.CEILING), ".1%"),
        _number(rate / result.primitives, ".0%"),
        _number(naive_cpu / cpu, ".1f"),
        _number(cpu, ".1f"),
        _number(_median([each.p99_ms for each in ours]), ".1f"),
        _number(max([each.peak_bytes for each in ours], default=nan) / 2**20, ".0f"),
        _headers([each.headers for each in ours]),
        "VOID" if result.void else "",
    ]


def latency_lines(latency: Latency) -> list[str]:
    """What the open loop found, in sentences."""
    verdict = "reached" if latency.ratio <= MOST_LATENCY else "missed"
    named = (
        ("naive", latency.naive, latency.naive_rate),
        ("ours", latency.ours, latency.rate),
        ("ceiling", latency.ceiling, latency.rate),
    )
    ratio = f"{latency.ratio:.2f} of the naive service's (goal <= {MOST_LATENCY}: {verdict})"
    lines = [f"p99, open loop, 1 a request -> Kafka: ours is {ratio}"]
    for name, found, rate in named:
        behind = ", fell behind" if found.fell_behind else ""
        lines.append(
            f"  {name:<8} at {rate:>7,.0f}/s: p50 {found.p50_ms:.2f} ms, p99 {found.p99_ms:.2f} ms, "
            f"p99.9 {found.p999_ms:.2f} ms{behind}"
        )
    lines += ["  void: " + reason for reason in latency.void]
    return lines


def memory_line(results: Sequence[Result]) -> str:
    """The most resident memory of ours in any row."""
    most = max((each.peak_bytes for result in results for each in result.runs.get(Side.OURS, ())), default=0) / 2**20
    verdict = "reached" if most <= MOST_MEMORY_MIB else "missed"
    return f"resident memory at full load: at most {most:.0f} MiB (goal <= {MOST_MEMORY_MIB}: {verdict})"


def void_lines(results: Sequence[Result]) -> list[str]:
    """Why rows do not count."""
    return [f"VOID {result.row.name}: {reason}" for result in results for reason in result.void]


def parts_lines(results: Sequence[Result]) -> list[str]:
    """The primitives of each row, in microseconds per event."""
    lines = []
    for result in results:
        if result.parts:
            listed = ", ".join(f"{name} {microseconds:.2f}" for name, microseconds in result.parts.items())
            lines.append(f"{result.row.name}: {result.machinery:.2f} machinery, {listed}")
    return lines


def text(results: Sequence[Result]) -> str:
    """The table in columns."""
    return grid.text(HEAD, [cells(result) for result in results])


def markdown(results: Sequence[Result]) -> str:
    """The table for RESULTS.md."""
    return grid.markdown(HEAD, [cells(result) for result in results])


def _number(value: float, form: str) -> str:
    return "" if isnan(value) else format(value, form)


def _median(values: Sequence[float]) -> float:
    return median(values) if values else nan


def _headers(shares: Sequence[float]) -> str:
    """Whether the Kafka records had headers: counted by the broker, not said by us."""
    known = [share for share in shares if not isnan(share)]
    if not known:
        return ""
    return "sent" if min(known) == 1 else "none" if max(known) == 0 else "some"
