"""`python -m bench.journal`: what `ack: stored` costs beside `ack: delivered`, and what the disk is to blame for.

Three services on one core, loaded in turns: one delivers before it answers, to a sink that takes at once; one stores
before it answers, for the same sink; one stores for Kinesis, which is away. First in closed loop, then in open loop at
a share of what the storing one can do, beside writing and syncing by hand on the same disk. Exit code 1 if a run
failed, or something that was acknowledged was not delivered in the end; a goal that is missed is only told.
"""

import argparse
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from msgspec import Struct

from bench import disk, grid
from bench.contestants import Contestant, Side, started
from bench.measure import Bench, Disagreement, Measured
from bench.program import asked
from bench.rows import MANY, TAKER, Row
from bench.runs import tell
from bench.stage import add_options, stage, ways
from deploy.local.child import ChildError

LEAST_EVENTS: Final = 60_000
"""A second and core, in batches of 100."""
LEAST_REQUESTS: Final = 8_000
"""A second and core, of one event."""
MOST_SYNCS: Final = 3.0
MOST_ADDED_MS: Final = 5.0
"""p99 of an answer is to be at most so many p99 of the disk, and so much more."""
SHARE: Final = 0.5
"""Of the storing service's most requests a second, the rate of the open loop."""
OPEN_CONNECTIONS: Final = 128
DRAIN_SECONDS: Final = 300.0
DELIVERED, STORED, AWAY = "delivered", "stored", "stored, away"
KINESIS: Final = "kinesis"


def _rows(events: int, connections: int) -> Mapping[str, Row]:
    def row(name: str, to: str, ack: str) -> Row:
        return Row(f"{name}_{events}", f"{events} a request, {name}", (to,), events, connections=connections, ack=ack)

    return {
        DELIVERED: row("delivered", TAKER, "delivered"),
        STORED: row("stored", TAKER, "stored"),
        AWAY: row("away", KINESIS, "stored"),
    }


SHAPES: Final = {MANY: _rows(MANY, 16), 1: _rows(1, 64)}
GOALS: Final = {MANY: LEAST_EVENTS, 1: LEAST_REQUESTS}


class Found(Struct):
    """Runs of one shape of requests, in the order of their rounds."""

    events: int
    closed: dict[str, list[Measured]]
    opened: dict[str, list[Measured]] = {}
    syncs: list[disk.Syncs] = []
    rate: float = 0.0
    drained: float = 0.0
    """Events a second that went to Kinesis once it was back."""
    failure: str = ""

    def per_second(self, which: str) -> float:
        """Events, the median of the rounds."""
        return median([each.per_second for each in self.closed[which]])

    def p99_ms(self, which: str) -> float:
        """In open loop, the median of the rounds."""
        return median([each.p99_ms for each in self.opened[which]])

    @property
    def sync_p99_ms(self) -> float:
        """Of the disk, the median of the rounds."""
        return median([each.p99_ms for each in self.syncs])

    @property
    def most_p99_ms(self) -> float:
        """The goal."""
        return MOST_SYNCS * self.sync_p99_ms + MOST_ADDED_MS


HEAD: Final = ("events a request, ack", "events/s", "x delivered", "µs CPU", "a core's", "MiB", "goal", "")


def cells(found: Found) -> list[list[str]]:
    """Rows of the closed loop's table."""
    made = []
    for which, runs in found.closed.items():
        goal = GOALS[found.events] if which != DELIVERED else 0
        per_second = found.per_second(which)
        cpu = median([each.cpu_microseconds for each in runs])
        verdict = "" if not goal else "reached" if per_second >= goal else "missed"
        made.append(
            [
                f"{found.events}, {which}",
                f"{per_second:,.0f}",
                f"{per_second / found.per_second(DELIVERED):.2f}",
                f"{cpu:.1f}",
                f"{1e6 / cpu:,.0f}",
                f"{max(each.peak_bytes for each in runs) / 2**20:.0f}",
                f"{goal:,}" if goal else "",
                verdict + (" VOID" if any(each.void for each in runs) else ""),
            ]
        )
    return made


def lines(found: Found) -> list[str]:
    """What the open loop found, and the drain."""
    told = [f"{found.events} a request at {found.rate:,.0f} requests/s, open loop:"]
    for which, runs in found.opened.items():
        p50 = median([each.p50_ms for each in runs])
        behind = ", fell behind" if any(each.fell_behind for each in runs) else ""
        verdict = ""
        if which != DELIVERED:
            verdict = f"  <= {found.most_p99_ms:.2f} ms: " + (
                "reached" if found.p99_ms(which) <= found.most_p99_ms else "missed"
            )
        told.append(f"  {which:<14} p50 {p50:.2f} ms, p99 {found.p99_ms(which):.2f} ms{behind}{verdict}")
    p50 = median([each.p50_ms for each in found.syncs])
    told.append(f"  the disk alone p50 {p50:.2f} ms, p99 {found.sync_p99_ms:.2f} ms (write and sync)")
    told.append(f"  Kinesis, once it was back: {found.drained:,.0f} events/s")
    return told


class Journey(Struct):
    """One service, and what it has acknowledged in all runs."""

    contestant: Contestant
    row: Row
    acknowledged: int = 0

    def run(self, bench: Bench, seconds: float, rate: float = 0.0, connections: int = 0) -> Measured:
        """Load it. Raises Disagreement."""
        found = bench.measure(self.contestant, self.row, seconds, rate, connections)
        self.acknowledged += found.acknowledged
        tell(self.row.name, found)
        return found

    def await_delivery(self) -> None:
        """Return once all that was acknowledged was delivered. Raises Disagreement after DRAIN_SECONDS."""
        sink = self.row.to[0]
        line = re.compile(
            rf'^penstock_lane_events_settled_total{{(?=.*sink="{sink}")(?=.*outcome="delivered").*}} (\S+)$',
            re.MULTILINE,
        )
        end = time.monotonic() + DRAIN_SECONDS
        while True:
            found = line.findall(asked(f"{self.contestant.admin}/metrics").decode())
            delivered = sum(map(float, found))
            if delivered >= self.acknowledged:
                return
            if time.monotonic() > end:
                raise Disagreement(f"{self.row.name}: {delivered:.0f} delivered of {self.acknowledged} acknowledged")
            time.sleep(0.2)


def run(bench: Bench, events: int, options: argparse.Namespace, folder: Path) -> Found:
    """All services of a shape, in turns. What goes wrong is in the result's `failure`."""
    rows = SHAPES[events]
    found = Found(events, {which: [] for which in rows}, {which: [] for which in rows})
    try:
        with ExitStack() as stack:
            running: dict[str, Journey] = {}
            for which, row in rows.items():
                place = folder / row.name
                place.mkdir(exist_ok=True)
                contestant = stack.enter_context(
                    started(Side.OURS, row, bench.stubs, bench.service_core, place, ways(options))
                )
                running[which] = Journey(contestant, row)
                running[which].run(bench, options.warm_up)
            began = bench.stubs.counts().kinesis.events
            with bench.stubs.holding(KINESIS):
                for _ in range(options.rounds):
                    for which, journey in running.items():
                        found.closed[which].append(journey.run(bench, options.seconds))
                        running[STORED].await_delivery()
                found.rate = options.rate or SHARE * found.per_second(STORED) / events
                for _ in range(options.rounds):
                    found.syncs.append(disk.syncs(folder, options.seconds))
                    for which, journey in running.items():
                        found.opened[which].append(journey.run(bench, options.seconds, found.rate, OPEN_CONNECTIONS))
            back = time.monotonic()
            for journey in running.values():
                journey.await_delivery()
            found.drained = (bench.stubs.counts().kinesis.events - began) / (time.monotonic() - back)
    except (Disagreement, ChildError, RuntimeError) as error:
        found.failure = str(error)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.journal", description=__doc__)
    parser.add_argument("--only", type=int, choices=SHAPES, help="requests of so many events")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run (5)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turns; medians are shown (3)")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds (1)")
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second of the open loop")
    add_options(parser, "journal")
    return parser.parse_args()


def _shapes(options: argparse.Namespace) -> Sequence[int]:
    return [events for events in SHAPES if options.only in (None, events)]


def main() -> int:
    """Run what is asked for, print what was found; the exit code."""
    options = _options()
    folder = options.folder.resolve()
    with stage(folder) as bench:
        found = [run(bench, events, options, folder) for events in _shapes(options)]
    whole = [each for each in found if not each.failure]
    print(grid.text(HEAD, [row for each in whole for row in cells(each)]))
    for each in whole:
        print("\n".join(lines(each)))
    for each in found:
        if each.failure:
            print(f"FAILED: {each.failure}", file=sys.stderr)
    return 0 if len(whole) == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
