"""`make bench`, or `python -m bench`: our service beside the naive one, the ceiling and the primitives, as ratios.

Service on one core, load and destinations on another. Exit code 1 if a run failed, or a destination has not taken
exactly what was acknowledged. bench/README.md says how to read the table.
"""

import argparse
import sys

from bench import table, together
from bench.bodies import EVENT_BYTES, LEAST_BYTES
from bench.contestants import Side
from bench.results import write
from bench.rows import ROWS
from bench.runs import LATENCY, Plan, rows_of, run_latency, run_row
from bench.stage import add_options, stage, ways


def _options() -> argparse.Namespace:
    names = [row.name for row in ROWS] + [LATENCY, together.NAME]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, default=[], help="this row; may be repeated")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run (3)")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each side, in turns; medians are shown (2)")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds of load before the first run (1)")
    parser.add_argument(
        "--sides", nargs="+", type=Side, choices=list(Side), default=list(Side), help="who runs (all three)"
    )
    parser.add_argument("--no-primitives", action="store_true", help="do not time the primitives")
    parser.add_argument(
        "--bytes", type=int, default=EVENT_BYTES, help=f"of an event ({EVENT_BYTES}; {LEAST_BYTES} at least)"
    )
    parser.add_argument("--connections", type=int, default=0, help="instead of the row's own")
    parser.add_argument("--rate", type=float, default=0.0, help="open loop: requests a second, for every side")
    parser.add_argument(
        "--flag", action="append", default=[], help="of `penstock serve`, for ours: --flag=--name=value"
    )
    add_options(parser, "run")
    parser.add_argument("--write", action="store_true", help="the whole table into bench/RESULTS.md, if no row is void")
    options = parser.parse_args()
    if options.write and (options.only or options.rate or set(options.sides) != set(Side) or options.no_primitives):
        parser.error("--write writes whole tables: without --only, --rate, --sides and --no-primitives")
    if options.bytes < LEAST_BYTES or (options.bytes != EVENT_BYTES and (options.write or not options.no_primitives)):
        parser.error(f"--bytes: {LEAST_BYTES} at least, and with --no-primitives, which are of the usual size")
    return options


def main() -> int:
    """Run what is asked for, print the table; the exit code."""
    options = _options()
    folder = options.folder.resolve()
    with stage(folder) as bench:
        plan = Plan(
            bench,
            folder,
            ways(options),
            tuple(options.sides),
            options.seconds,
            options.rounds,
            options.warm_up,
            options.connections,
            options.rate,
            not options.no_primitives,
        )
        results = [run_row(plan, row) for row in rows_of(options.only, options.bytes)]
        wanted = not options.only or LATENCY in options.only
        latency = run_latency(plan, results) if wanted and not options.rate else None
        wanted = together.NAME in options.only or not (options.only or options.rate or options.no_primitives)
        all_four = together.run_together(plan) if wanted and set(options.sides) == set(Side) else None
    failures = [result.failure for result in results if result.failure]
    failures += [failure for failure in (latency, all_four) if isinstance(failure, str)]
    latency = None if isinstance(latency, str) else latency
    all_four = None if isinstance(all_four, str) else all_four
    if results:
        print("\n".join(["", table.text(results), *table.void_lines(results), ""]))
    if latency is not None:
        print("\n".join(table.latency_lines(latency)))
    if all_four is not None:
        print("\n".join(together.lines(all_four)))
    if any(result.runs.get(Side.OURS) for result in results):
        print(table.memory_line(results))
    if results and plan.primitives:
        print("\n".join(["", "primitives, µs of CPU per event:", *table.parts_lines(results)]))
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    if options.write:
        return write(results, latency, all_four, failures, sys.argv[1:])
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
