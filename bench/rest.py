"""`python -m bench.rest`: what an idle service adds to its destination's own latency, `linger: 0`.

Single events with pauses, each counted from when it was due. The destination is asked directly in the same minutes, and
so is the ceiling, which has no destination: what it takes is the machine's way to any service and back. Exit code 1 if
a run failed, or a destination has not taken exactly what was acknowledged; a goal that is missed is only told.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from msgspec import Struct

from bench import direct, grid, results
from bench.contestants import Contestant, Side, Ways, started
from bench.direct import Quantiles
from bench.measure import Bench, Disagreement, undisturbed
from bench.rows import Row
from bench.stage import add_options, stage, ways
from deploy.local.child import ROOT, ChildError

FILE: Final = ROOT / "bench" / "REST.md"
CONNECTIONS: Final = 4
MOST_P50_MS: Final = 1.0
MOST_P99_MS: Final = 3.0
ROWS: Final = tuple(
    Row(name, f"1 a request -> {name}, at rest", (name,), connections=CONNECTIONS, settings={name: {"linger": 0}})
    for name in ("kafka", "kinesis", "firehose", "sqs")
)


class Rest(Struct):
    """One destination: runs in the order of their rounds."""

    row: Row
    direct: list[Quantiles] = []
    ours: list[Quantiles] = []
    ceiling: list[Quantiles] = []
    failure: str = ""

    @property
    def added_p50_ms(self) -> float:
        """Of our median, what is not the destination's own: the median of the rounds' differences."""
        return median([ours.p50_ms - own.p50_ms for ours, own in zip(self.ours, self.direct, strict=True)])

    @property
    def added_p99_ms(self) -> float:
        """The same of the 99th percentile."""
        return median([ours.p99_ms - own.p99_ms for ours, own in zip(self.ours, self.direct, strict=True)])

    @property
    def reached(self) -> bool:
        """Whether both are within their goals."""
        return self.added_p50_ms <= MOST_P50_MS and self.added_p99_ms <= MOST_P99_MS

    @property
    def void(self) -> list[str]:
        """Why it does not count; empty if it does."""
        return [f"{self.row.name}: {reason}" for each in (*self.ours, *self.direct) for reason in each.void]


HEAD: Final = (
    "destination",
    "own p50 ms",
    "ours p50 ms",
    f"added (<= {MOST_P50_MS:g})",
    "own p99 ms",
    "ours p99 ms",
    f"added (<= {MOST_P99_MS:g})",
    "ceiling p50 ms",
    "ceiling p99 ms",
    "",
)


def cells(rest: Rest) -> list[str]:
    """The row of the table."""
    if rest.failure:
        return [rest.row.name, *[""] * (len(HEAD) - 2), f"FAILED: {rest.failure.splitlines()[0]}"]
    p50 = [median([each.p50_ms for each in runs]) for runs in (rest.direct, rest.ours, rest.ceiling)]
    p99 = [median([each.p99_ms for each in runs]) for runs in (rest.direct, rest.ours, rest.ceiling)]
    figures = [p50[0], p50[1], rest.added_p50_ms, p99[0], p99[1], rest.added_p99_ms, p50[2], p99[2]]
    verdict = "reached" if rest.reached else "missed"
    return [rest.row.name, *(f"{each:.2f}" for each in figures), verdict + (" VOID" if rest.void else "")]


def run(bench: Bench, row: Row, folder: Path, switched: Ways, rounds: int, seconds: float, rate: float) -> Rest:
    """The service, the ceiling and the destination in turns. What goes wrong is in the result's `failure`."""
    found = Rest(row)
    folder.mkdir(exist_ok=True)
    try:
        with ExitStack() as stack:
            sides = {Side.OURS: found.ours, Side.CEILING: found.ceiling}
            running = {
                side: stack.enter_context(started(side, row, bench.stubs, bench.service_core, folder, switched))
                for side in sides
            }
            for contestant in running.values():
                bench.measure(contestant, row, 1.0, rate)  # connects
            for _ in range(rounds):
                asked = partial(direct.latency, bench, row, folder, connections=CONNECTIONS, seconds=seconds, rate=rate)
                found.direct.append(undisturbed(asked, _void))
                for side, contestant in running.items():
                    sides[side].append(undisturbed(partial(_measured, bench, contestant, row, seconds, rate), _void))
    except (Disagreement, ChildError, RuntimeError) as error:
        found.failure = str(error)
    return found


def _measured(bench: Bench, contestant: Contestant, row: Row, seconds: float, rate: float) -> Quantiles:
    run = bench.measure(contestant, row, seconds, rate)
    return Quantiles(run.p50_ms, run.p99_ms, run.void)


def _void(found: Quantiles) -> Sequence[str]:
    return found.void


def page(found: Sequence[Rest], arguments: Sequence[str]) -> str:
    """The text of bench/REST.md."""
    table = grid.markdown(HEAD, list(map(cells, found)))
    return results.page("What an idle service adds to its destination's latency", "bench.rest", arguments, ["", table])


def _options() -> argparse.Namespace:
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m bench.rest", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, default=[], help="this one; may be repeated")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run (10)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turns; medians are shown (3)")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second (50)")
    add_options(parser, "rest")
    parser.add_argument("--write", action="store_true", help="the table into bench/REST.md, if no run is void")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write writes whole tables: without --only")
    return options


def main() -> int:
    """Run what is asked for, print the table; the exit code."""
    options = _options()
    folder = options.folder.resolve()
    with stage(folder) as bench:
        found = [
            run(bench, row, folder / row.name, ways(options), options.rounds, options.seconds, options.rate)
            for row in ROWS
            if not options.only or row.name in options.only
        ]
    print(grid.text(HEAD, list(map(cells, found))))
    void = [reason for rest in found for reason in rest.void]
    failures = [rest.failure for rest in found if rest.failure]
    print("\n".join(f"VOID {reason}" for reason in void))
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    if options.write:
        return results.publish(FILE, lambda: page(found, sys.argv[1:]), [*failures, *void])
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
