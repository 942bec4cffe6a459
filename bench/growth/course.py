"""The course of growth: all sizes of an axis run at once on one core, loaded in turns, so that drift hits all alike."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench import cores
from bench.contestants import Contestant, Side, Ways, started
from bench.growth import held
from bench.growth.axes import MINUTES, RATE, Axis
from bench.growth.figures import Growth, Minute, Minutes, reasons
from bench.measure import Bench, Disagreement, Measured, undisturbed
from bench.rows import Row
from bench.runs import tell
from deploy.local.child import ChildError

MINUTES_AGAIN: Final = 10
"""Minutes that something disturbed, for each of which one more follows."""


class Course(Struct, frozen=True):
    """How to run."""

    bench: Bench
    folder: Path
    ways: Ways
    seconds: float
    rounds: int
    warm_up: float
    """Seconds of load before the first run."""


def run_axis(course: Course, axis: Axis) -> Growth:
    """A service for each size, loaded in turns. What goes wrong is in the result's `failure`."""
    found = Growth(axis, {size: [] for size, _ in axis.sizes})
    with _told(found), ExitStack() as stack:
        running = []
        for size, row in axis.sizes:
            contestant = stack.enter_context(_started(course, row, f"{axis.name}_{size}"))
            running.append((size, row, contestant))
            course.bench.measure(contestant, row, course.warm_up, axis.rate)
        for _ in range(course.rounds):
            for size, row, contestant in running:
                found.runs[size].append(_measured(course, contestant, row, axis, size))
    return found


def run_fill(course: Course) -> Growth:
    """One service, one of whose lanes is filled again and again. What goes wrong is in the result's `failure`."""
    axis = held.AXIS
    found = Growth(axis, {size: [] for size, _ in axis.sizes})
    with _told(found), _started(course, held.WORK, axis.name) as contestant:
        filler = held.Filler(course.bench, contestant, course.folder)
        filler.calibrate()
        course.bench.measure(contestant, held.WORK, course.warm_up, axis.rate)
        for _ in range(course.rounds):
            for size, row in axis.sizes:
                with filler.filled(size):
                    found.runs[size].append(_measured(course, contestant, row, axis, size))
    return found


def run_minutes(course: Course, minutes: int, seconds: float) -> Minutes:
    """One service at a fixed rate, for so many minutes of `seconds` each. What goes wrong is in `failure`."""
    found = Minutes([])
    with _told(found), _started(course, MINUTES, "minutes") as contestant:
        course.bench.measure(contestant, MINUTES, course.warm_up, RATE)
        disturbed = 0
        while len(found.minutes) < minutes:
            run = course.bench.measure(contestant, MINUTES, seconds, RATE)
            tell(f"minute {len(found.minutes) + 1}", run)
            if reasons(run) and disturbed < MINUTES_AGAIN:
                disturbed += 1
                continue
            found.minutes.append(Minute(run, cores.resident_bytes(contestant.session)))
    return found


@contextmanager
def _told(found: Growth | Minutes) -> Iterator[None]:
    """Put what goes wrong into `found`, and on stderr."""
    try:
        yield
    except (Disagreement, ChildError, RuntimeError, OSError) as error:
        found.failure = str(error)
        print(f"FAILED: {error}", file=sys.stderr, flush=True)


def _measured(course: Course, contestant: Contestant, row: Row, axis: Axis, size: int) -> Measured:
    def run() -> Measured:
        found = course.bench.measure(contestant, row, course.seconds, axis.rate)
        tell(f"{axis.name} {size:,}", found)
        return found

    return undisturbed(run, reasons)


def _started(course: Course, row: Row, name: str) -> AbstractContextManager[Contestant]:
    folder = course.folder / name
    folder.mkdir(exist_ok=True)
    return started(Side.OURS, row, course.bench.stubs, course.bench.service_core, folder, course.ways)
