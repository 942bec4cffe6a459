"""`python -m bench.away --events N`: a destination is away for long, then comes back while producers go on.

Events of 889 bytes in batches of 100 are stored for Kinesis, which answers nothing: resident memory is to stay flat,
and the disk to grow by so many bytes an event. Then it answers, while producers send on at 2,000 events a second: how
fast does the journal drain? 3,600,000 events are what 30 minutes bring; they are sent faster, for the disk does not
care.
Exit code 1 if something acknowledged did not arrive; a goal that is missed is only told.
"""

import argparse
import sys
import threading
import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench import cores
from bench.contestants import Contestant, Side, started
from bench.measure import Bench, Disagreement
from bench.program import Load, Order, connected
from bench.rows import MANY, Row
from bench.scenarios.report import Report
from bench.stage import add_options, stage, ways
from deploy.local.child import ChildError

KINESIS: Final = "kinesis"
ROW: Final = Row("away", "100 a request, stored, Kinesis away", (KINESIS,), MANY, connections=16, ack="stored")
ARRIVAL: Final = 2_000
"""Events a second that the figures of the goal are about."""
TIMES_ARRIVAL: Final = 5.0
MOST_GROWTH: Final = 1.1
"""Resident memory at the end over that after a quarter of the events: flat, but for the allocator's fragments."""
HOURS: Final = 10
LOOK_SECONDS: Final = 0.5
DRAIN_SECONDS: Final = 1800.0


class Moment(Struct, frozen=True):
    """While events come in."""

    resident_bytes: int
    disk_bytes: int


class Loading:
    """A load in a thread of its own. `found` is there once `with` has ended."""

    def __init__(self, bench: Bench, contestant: Contestant, seconds: float, rate: float) -> None:
        order = Order(
            requests=contestant.requests,
            address=contestant.address,
            events=ROW.events,
            connections=ROW.connections,
            seconds=seconds,
            rate=rate,
        )
        self.found: Load | None = None
        self._program, self._order = bench.program, order
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with connected(self._program, self._order) as send:
            self.found = send()

    @property
    def runs(self) -> bool:
        """Whether it is not over."""
        return self._thread.is_alive()

    def acknowledged(self) -> int:
        """Events, once it is over. Raises Disagreement if not all requests were stored."""
        self._thread.join()
        if self.found is None:
            raise Disagreement("the load generator failed")
        if self.found.statuses.keys() != {"202"} or self.found.errors:
            raise Disagreement(f"{self.found.statuses} {self.found.errors}: {self.found.sample}")
        return self.found.acknowledged


def run(bench: Bench, options: argparse.Namespace, folder: Path) -> Report:
    """Store, then drain. Raises Disagreement, ChildError."""
    report = Report(f"{options.events:,} events stored while Kinesis is away")
    journal = folder / "journal"
    with started(Side.OURS, ROW, bench.stubs, bench.service_core, folder, ways(options)) as contestant:
        with bench.stubs.holding(KINESIS):
            loading = Loading(bench, contestant, options.events / options.rate, options.rate / ROW.events)
            moments: list[Moment] = []
            while loading.runs:
                moments.append(Moment(cores.resident_bytes(contestant.session), _bytes(journal)))
                time.sleep(LOOK_SECONDS)
            acknowledged = loading.acknowledged()
            moments.append(Moment(cores.resident_bytes(contestant.session), _bytes(journal)))
        quarter = moments[len(moments) // 4]
        ours = bench.stubs.counts().kinesis.events
        report.at_most("resident memory at the end / after a quarter", _growth(quarter, moments[-1]), MOST_GROWTH)
        report.tell("resident memory, most", f"{max(each.resident_bytes for each in moments) / 2**20:.0f} MiB")
        slope = (moments[-1].disk_bytes - quarter.disk_bytes) / (acknowledged * (1 - len(moments) // 4 / len(moments)))
        report.tell("bytes on the disk, each event", f"{slope:,.0f}")
        whole = slope * ARRIVAL * 3600 * HOURS
        report.tell(f"after {HOURS} h at {ARRIVAL:,} events/s", f"{whole / 2**30:.1f} GiB")
        _drain(bench, contestant, acknowledged - ours, report)
    return report


def _drain(bench: Bench, contestant: Contestant, waiting: int, report: Report) -> None:
    """Kinesis is back, and producers send on."""
    began, before = time.monotonic(), bench.stubs.counts().kinesis.events
    seconds = max(5.0, waiting / 20_000)
    loading = Loading(bench, contestant, seconds, ARRIVAL / ROW.events)
    took = 0.0
    while True:
        delivered = bench.stubs.counts().kinesis.events - before
        elapsed = time.monotonic() - began
        if not took and delivered >= waiting + ARRIVAL * elapsed * 0.99:
            took = elapsed
            rate = delivered / took
        if not loading.runs and delivered >= waiting + loading.acknowledged():
            break
        if elapsed > DRAIN_SECONDS:
            raise Disagreement(f"{delivered:,} events arrived of {waiting:,} and those that came meanwhile")
        time.sleep(LOOK_SECONDS / 5)
    if not took:
        took, rate = elapsed, delivered / elapsed
    report.at_least("events/s that went out while it drained", rate, TIMES_ARRIVAL * ARRIVAL, ",.0f")
    report.tell("seconds until nothing waited", f"{took:.1f}")
    assert loading.found is not None
    report.tell("answers meanwhile, p99", f"{loading.found.p99_ms:.1f} ms")
    report.tell("most resident memory", f"{cores.peak_bytes(contestant.session) / 2**20:.0f} MiB")


def _growth(first: Moment, last: Moment) -> float:
    return last.resident_bytes / first.resident_bytes


def _bytes(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def main() -> int:
    """Run it, print what was found; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.away", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="to be stored (200000)")
    parser.add_argument("--rate", type=float, default=10_000, help="events a second while it is away (10000)")
    add_options(parser, "away")
    options = parser.parse_args()
    folder = options.folder.resolve()
    with stage(folder) as bench:
        try:
            report = run(bench, options, folder)
        except (Disagreement, ChildError, RuntimeError) as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
    print(report.text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
