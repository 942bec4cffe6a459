"""The course of a row: the contestants side by side on one core, loaded in turns, so that drift hits all alike."""

import json
import os
import subprocess
import sys
from contextlib import AbstractContextManager, ExitStack
from math import isnan
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bench.contestants import Contestant, Side, Ways, started
from bench.measure import Bench, Disagreement, Measured
from bench.rows import ROWS, Row
from bench.table import Latency, Result
from deploy.local.child import ChildError
from deploy.local.emulator import isolated

LATENCY = "latency"
"""Name of the row that is measured in open loop."""
LATENCY_ROW = ROWS[0]
LATENCY_CONNECTIONS = 128
NAIVE_SHARE = 0.5
"""Of the naive service's maximum, the rate at which its latency counts."""
TIMES_NAIVE = 3.0
"""Of the naive service's maximum, the rate at which ours counts."""


class Plan(Struct, frozen=True):
    """How to run."""

    bench: Bench
    folder: Path
    ways: Ways
    sides: tuple[Side, ...]
    seconds: float
    rounds: int
    warm_up: float
    connections: int
    """0 for the row's own."""
    rate: float
    """Requests a second in open loop; 0 for a closed one."""
    primitives: bool

    def measure(self, contestant: Contestant, row: Row, seconds: float) -> Measured:
        """One run, and a line about it."""
        found = self.bench.measure(contestant, row, seconds, self.rate, self.connections)
        tell(row.name, found)
        return found


def tell(name: str, found: Measured) -> None:
    """One line about a run, to stderr."""
    void = "".join(f", VOID: {reason}" for reason in found.void)
    behind = ", fell behind" if found.fell_behind else ""
    print(
        f"{name} {found.side}: {found.per_second:,.0f} events/s, p50 {found.p50_ms:.2f} p99 {found.p99_ms:.2f} "
        f"p99.9 {found.p999_ms:.2f} ms, {found.cpu_microseconds:.1f} µs, load's core {found.load_core:.0%} "
        f"(load {found.load_cpu:.0%}, destinations {found.stubs_cpu:.0%}), others {found.strangers:.0%}{behind}{void}",
        file=sys.stderr,
        flush=True,
    )


def rows_of(names: list[str], size: int) -> list[Row]:
    """The rows of these names, with events of `size` bytes; all if there is none."""
    return [replace(row, size=size) for row in ROWS if not names or row.name in names]


def run_row(plan: Plan, row: Row) -> Result:
    """Every side, in turns. What goes wrong is in the result's `failure`."""
    result = Result(row, {side: [] for side in plan.sides})
    try:
        with ExitStack() as stack:
            contestants = [stack.enter_context(running(plan, side, row)) for side in plan.sides]
            for contestant in contestants:
                print(f"{row.name} {contestant.side}: pid {contestant.session}", file=sys.stderr, flush=True)
                plan.bench.measure(contestant, row, plan.warm_up, 0, plan.connections)
            for _ in range(plan.rounds):
                for contestant in contestants:
                    result.runs[contestant.side].append(plan.measure(contestant, row, plan.seconds))
        if plan.primitives:
            result.parts = primitives_of(plan, row)
    except (Disagreement, ChildError, RuntimeError) as error:
        result.failure = str(error)
        print(f"{row.name}: FAILED: {error}", file=sys.stderr, flush=True)
    return result


def run_latency(plan: Plan, results: list[Result]) -> Latency | str:
    """p99 at fixed rates that the naive service's maximum gives; or what went wrong."""
    row = LATENCY_ROW
    known = next((result.per_second(Side.NAIVE) for result in results if result.row is row), 0.0)
    known = 0.0 if isnan(known) else known
    found: dict[Side, Measured] = {}
    rates: dict[Side, float] = {}
    try:
        for side in (Side.NAIVE, Side.OURS, Side.CEILING):
            with running(plan, side, row) as contestant:
                warm = plan.bench.measure(contestant, row, max(plan.warm_up, 0 if known else plan.seconds))
                known = known or warm.per_second
                rates[side] = known * (NAIVE_SHARE if side is Side.NAIVE else TIMES_NAIVE)
                found[side] = plan.bench.measure(contestant, row, 2 * plan.seconds, rates[side], LATENCY_CONNECTIONS)
            tell(f"{LATENCY} at {rates[side]:,.0f}/s", found[side])
    except (Disagreement, ChildError, RuntimeError) as error:
        return f"{LATENCY}: {error}"
    return Latency(rates[Side.NAIVE], rates[Side.OURS], found[Side.NAIVE], found[Side.OURS], found[Side.CEILING])


def running(plan: Plan, side: Side, row: Row) -> AbstractContextManager[Contestant]:
    """A contestant of a row. Raises ChildError."""
    folder = plan.folder / row.name
    folder.mkdir(exist_ok=True)
    return started(side, row, plan.bench.stubs, plan.bench.service_core, folder, plan.ways)


def primitives_of(plan: Plan, row: Row) -> dict[str, float]:
    """Microseconds of CPU per event of each primitive of a row. Raises RuntimeError."""
    stubs = plan.bench.stubs
    return timed(plan.bench, "bench.primitives", row.name, stubs.bootstrap, stubs.endpoint)


def timed(bench: Bench, module: str, *arguments: str) -> dict[str, float]:
    """What `python -m module` prints as JSON, run on the service's core. Raises RuntimeError."""
    command = ["taskset", "-c", str(bench.service_core), sys.executable, "-m", module, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, env=isolated(os.environ), check=False, timeout=120)
    if ran.returncode:
        raise RuntimeError(f"the primitives failed: {ran.stderr.strip()[-500:]}")
    parts: dict[str, float] = json.loads(ran.stdout)
    return parts
