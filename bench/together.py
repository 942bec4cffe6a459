"""All four destinations at once against each of them alone: what an event costs, less what is done once for all.

The five services and the ceiling run at once and are loaded in turns, a hundred events a request with their schema.
What is done once is taken from the primitives of the edge and the ceiling's machinery. Ours does more than these, so
the bound is no stricter than it should be.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from statistics import median
from typing import Final

from msgspec import Struct

from bench.contestants import Side
from bench.measure import Disagreement, Measured
from bench.rows import ROWS, Row
from bench.runs import Plan, primitives_of, running, tell
from deploy.local.child import ChildError

NAME: Final = "together"
MOST: Final = 1.0
"""Of the sum, less what is done once."""


def _row(name: str) -> Row:
    return next(row for row in ROWS if row.name == name)


ALL: Final = _row("all")
ALONE: Final[Mapping[str, Row]] = {
    "kafka": _row("batch_kafka"),
    "kinesis": _row("batch_kinesis"),
    "firehose": _row("firehose"),
    "sqs": _row("sqs"),
}


class Together(Struct):
    """Runs in the order of their rounds, and microseconds per event of the primitives of `ALL`."""

    alone: dict[str, list[Measured]]
    all: list[Measured] = []
    ceiling: list[Measured] = []
    parts: dict[str, float] = {}

    @property
    def once(self) -> float:
        """Microseconds of CPU per event, of what does not depend on how many destinations there are."""
        of_destinations = {*ALL.to, "shard"}
        edge = sum(cost for part, cost in self.parts.items() if part not in of_destinations)
        return edge + _cpu(self.ceiling)

    @property
    def ratio(self) -> float:
        """What all at once costs over what it may: the median of the rounds' ratios, which drift together."""
        saved = (len(self.alone) - 1) * self.once
        sums: list[float] = [
            sum(run.cpu_microseconds for run in runs) for runs in zip(*self.alone.values(), strict=True)
        ]
        pairs = zip(self.all, sums, strict=True)
        return median([each.cpu_microseconds / (alone - saved) for each, alone in pairs])

    @property
    def void(self) -> list[str]:
        """Why it does not count; empty if it does."""
        named = [*self.alone.items(), ("all", self.all)]
        return [f"{NAME} {name}: {reason}" for name, runs in named for run in runs for reason in run.void]


def lines(found: Together) -> list[str]:
    """What was found, in sentences."""
    verdict = "reached" if found.ratio <= MOST else "missed"
    alone = ", ".join(f"{name} {_cpu(runs):.1f}" for name, runs in found.alone.items())
    goal = f"(goal <= {MOST:g}: {verdict})"
    less = f"done once {found.once:.1f}, taken off {len(found.alone) - 1} times"
    return [
        f"all four at once, 100 a request: {found.ratio:.2f} of each alone, summed, less what is done once {goal}",
        f"  µs of CPU per event: {_cpu(found.all):.1f}; alone {alone}; {less}",
        *("  void: " + reason for reason in found.void),
    ]


def _cpu(runs: list[Measured]) -> float:
    return median([each.cpu_microseconds for each in runs])


def run_together(plan: Plan) -> Together | str:
    """What was found, or what went wrong."""
    found = Together({name: [] for name in ALONE})
    turns = [(Side.OURS, row, found.alone[name], name) for name, row in ALONE.items()]
    turns += [(Side.OURS, ALL, found.all, ALL.name), (Side.CEILING, ALL, found.ceiling, "ceiling")]
    try:
        with ExitStack() as stack:
            contestants = [stack.enter_context(running(plan, side, row)) for side, row, _, _ in turns]
            for contestant, (_, row, _, _) in zip(contestants, turns, strict=True):
                plan.bench.measure(contestant, row, plan.warm_up)
            for _ in range(plan.rounds):
                for contestant, (_, row, runs, name) in zip(contestants, turns, strict=True):
                    runs.append(plan.bench.measure(contestant, row, plan.seconds))
                    tell(f"{NAME} {name}", runs[-1])
        found.parts = primitives_of(plan, ALL)
    except (Disagreement, ChildError, RuntimeError) as error:
        return f"{NAME}: {error}"
    return found
