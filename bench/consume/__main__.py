"""`python -m bench.consume`: Kafka to Kafka and to Kinesis, beside a plain loop of confluent-kafka on the same core.

A topic of a real broker is filled; then the plain loop and our service on each way read it from beginning to end, in
turns, each as a group of its own. Needs Java and Maven beside Go. Exit code 1 if a run failed, a destination has not
taken exactly what was produced, or not all of it was committed; a goal that is missed is only told.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from msgspec import Struct

from bench import grid, results
from bench.consume.backlog import PARTITIONS, filled
from bench.consume.course import Run, primitives_of, run
from bench.consume.ways import PLAIN, TOPIC, WAYS
from bench.measure import Disagreement, undisturbed
from bench.rows import Row
from bench.stage import add_options, stage, ways
from deploy.local.apache_kafka import ApacheKafka
from deploy.local.child import ROOT, ChildError

FILE: Final = ROOT / "bench" / "CONSUME.md"
SHARE: Final = 0.8
"""Of what the primitives alone could do: all that is asked where it is less than the goal."""


class Found(Struct):
    """Runs of one way, in the order of their rounds, which are those of the plain loop too."""

    row: Row | None
    """None: the plain loop."""
    runs: list[Run] = []
    parts: dict[str, float] = {}
    """Microseconds of CPU per event, by primitive."""

    @property
    def cpu_microseconds(self) -> float:
        """For each event, the median of the rounds."""
        return median([each.cpu_microseconds for each in self.runs])

    def ratio(self, plain: "Found") -> float:
        """Events per CPU second, as multiples of the plain loop's: the median of the rounds' ratios."""
        pairs = zip(self.runs, plain.runs, strict=True)
        return median([loop.cpu_microseconds / ours.cpu_microseconds for ours, loop in pairs])

    @property
    def least_microseconds(self) -> float:
        """The sum of the primitives; 0 if they were not timed."""
        return sum(self.parts.values())

    def goal(self, plain: "Found") -> float:
        """The ratio to reach."""
        assert self.row is not None
        if not self.parts:
            return self.row.goal
        return min(self.row.goal, SHARE * plain.cpu_microseconds / self.least_microseconds)


HEAD: Final = (
    "way",
    "events/s",
    "µs CPU",
    "a core's",
    "x plain",
    "goal",
    "primitives µs",
    "MiB",
    "load's core",
    "others",
    "",
)


def cells(found: Found, plain: Found) -> list[str]:
    """The row of the table."""
    ratio = found.ratio(plain)
    goal = verdict = ""
    if found.row is not None:
        goal = f"{found.goal(plain):.2f}"
        verdict = "reached" if ratio >= found.goal(plain) else "missed"
    return [
        found.row.title if found.row is not None else "plain loop, Kafka -> Kafka",
        f"{median([each.per_second for each in found.runs]):,.0f}",
        f"{found.cpu_microseconds:.1f}",
        f"{1e6 / found.cpu_microseconds:,.0f}",
        f"{ratio:.2f}",
        goal,
        f"{found.least_microseconds:.1f}" if found.parts else "",
        f"{max(each.peak_bytes for each in found.runs) / 2**20:.0f}",
        f"{max(each.load_core for each in found.runs):.0%}",
        f"{max(each.strangers for each in found.runs):.0%}",
        verdict + (" VOID" if any(each.void for each in found.runs) else ""),
    ]


def parts_lines(found: Sequence[Found]) -> list[str]:
    """Microseconds of CPU per event, by primitive, a line for each way."""
    return [
        f"{each.row.name}: " + ", ".join(f"{part} {cost:.2f}" for part, cost in each.parts.items())
        for each in found
        if each.row is not None and each.parts
    ]


def page(found: Sequence[Found], messages: int, arguments: Sequence[str]) -> str:
    """The text of bench/CONSUME.md."""
    table = grid.markdown(HEAD, [cells(each, found[0]) for each in found])
    told = f"{messages:,} messages of 889 bytes in {PARTITIONS} partitions, read whole in each run."
    parts = ["Microseconds of CPU per event, of each primitive:", "", "```", *parts_lines(found), "```"]
    return results.page(
        "From Kafka, beside a plain loop", "bench.consume", arguments, ["", told, "", table, "", *parts]
    )


def _options() -> argparse.Namespace:
    names = [PLAIN, *(row.name for row in WAYS)]
    parser = argparse.ArgumentParser(prog="python -m bench.consume", description=__doc__)
    parser.add_argument("--only", action="append", choices=names[1:], default=[], help="this way; may be repeated")
    parser.add_argument("--messages", type=int, default=200_000, help="of the backlog (200,000)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turns; medians are shown (3)")
    parser.add_argument("--no-primitives", action="store_true", help="without their sum")
    parser.add_argument("--flag", action="append", default=[], help="of `penstock serve`; may be repeated")
    add_options(parser, "consume")
    parser.add_argument("--write", action="store_true", help="the table into bench/CONSUME.md, if no run is void")
    options = parser.parse_args()
    if options.write and (options.only or options.no_primitives):
        parser.error("--write writes whole tables: without --only and --no-primitives")
    return options


def main() -> int:
    """Run what is asked for, print the table; the exit code."""
    options = _options()
    folder: Path = options.folder.resolve()
    found = [Found(None), *(Found(row) for row in WAYS if not options.only or row.name in options.only)]
    try:
        # the broker starts on the core of load and destinations, which is this process's within the stage
        with stage(folder) as bench, ApacheKafka([TOPIC], PARTITIONS, measured=True) as broker:
            backlog = filled(broker.bootstrap, options.messages)
            for _ in range(options.rounds):
                for each in found:
                    once = partial(run, bench, each.row, backlog, folder, ways(options))
                    each.runs.append(undisturbed(once, lambda made: made.void) if options.write else once())
            for each in found:
                if each.row is not None and not options.no_primitives:
                    each.parts = primitives_of(bench, each.row, backlog)
    except (ChildError, Disagreement, RuntimeError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print(grid.text(HEAD, [cells(each, found[0]) for each in found]))
    print("\n".join(parts_lines(found)))
    if options.write:
        void = [reason for each in found for made in each.runs for reason in made.void]
        return results.publish(FILE, lambda: page(found, options.messages, sys.argv[1:]), void)
    return 0


if __name__ == "__main__":
    sys.exit(main())
