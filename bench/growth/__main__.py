"""`python -m bench.growth`: CPU per event over connections, routes, sinks, the fill of a lane, and minutes.

Each size runs beside the smallest one, in the same minutes on the same core; flat is within 20 %. Exit code 1 if a run
failed, or a destination has not taken exactly what was acknowledged; a bound that is exceeded is only told.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from bench.growth import figures, held, page, plots
from bench.growth.axes import AXES
from bench.growth.course import Course, run_axis, run_fill, run_minutes
from bench.growth.figures import Growth, Minutes
from bench.program import Missing
from bench.results import publish
from bench.stage import add_options, stage, ways

NAMES = [*(axis.name for axis in AXES), held.AXIS.name, "minutes"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, default=[], help="this one; may be repeated")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each run (8)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each size, in turns (3)")
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds of load before the first run (3)")
    parser.add_argument("--minutes", type=int, default=30, help="how long the last part takes (30)")
    parser.add_argument("--minute-seconds", type=float, default=60.0, help="length of a minute, for a look (60)")
    add_options(parser, "growth")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw what was run into this folder")
    parser.add_argument("--write", action="store_true", help="bench/GROWTH.md and bench/plots, if no run is void")
    options = parser.parse_args()
    if options.write and (options.only or options.minute_seconds != 60):
        parser.error("--write writes everything: without --only and --minute-seconds")
    return options


def main() -> int:
    """Run what is asked for, print the tables; the exit code."""
    options = _options()
    try:
        pyplot = plots.drawing() if options.write or options.plots else None
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 2
    folder = options.folder.resolve()
    with stage(folder) as bench:
        course = Course(bench, folder, ways(options), options.seconds, options.rounds, options.warm_up)
        growths, minutes = _run(course, options)
    print("\n" + figures.text(growths, minutes))
    void = [*(each for growth in growths for each in growth.void), *(minutes.void if minutes else ())]
    for reason in void:
        print(f"VOID {reason}")
    failures = [each.failure for each in (*growths, minutes) if each is not None and each.failure]
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    if options.plots:
        plots.draw(pyplot, growths, minutes, options.plots)
    if options.write and minutes is not None:
        text = partial(page.drawn, pyplot, growths, minutes, sys.argv[1:])
        return publish(page.FILE, text, [*failures, *void])
    return 1 if failures else 0


def _run(course: Course, options: argparse.Namespace) -> tuple[list[Growth], Minutes | None]:
    wanted = options.only or NAMES
    growths = [run_axis(course, axis) for axis in AXES if axis.name in wanted]
    if held.AXIS.name in wanted:
        growths.append(run_fill(course))
    minutes = run_minutes(course, options.minutes, options.minute_seconds) if "minutes" in wanted else None
    return growths, minutes


if __name__ == "__main__":
    sys.exit(main())
