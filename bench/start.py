"""`python -m bench.start`: seconds from exec to the `serving` log line and to 200 at /readyz, and the CPU they take.

A process each time, as in production, on a core of its own; the ways take turns, and the first turn, which finds no
file in memory, does not count. A goal that is missed is only told; exit code 1 if a service did not start.
"""

import argparse
import os
import sys
import time
import urllib.error
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, Final

import yaml
from msgspec import Struct

from bench import cores, grid, results
from bench.program import CACHE, Stubs, asked
from bench.rows import Row
from bench.stage import stage
from deploy.local.child import ROOT, Child, ChildError, leashed
from deploy.local.emulator import isolated

FILE: Final = ROOT / "bench" / "START.md"
MOST_SECONDS: Final = 1.5
POLL_SECONDS: Final = 0.002
ROWS: Final = tuple(
    Row(name, title, to)
    for name, title, to in (
        ("file", "a file", ()),
        ("kafka", "Kafka", ("kafka",)),
        ("kinesis", "Kinesis", ("kinesis",)),
        ("all", "all four", ("kafka", "kinesis", "firehose", "sqs")),
    )
)


class Start(Struct, frozen=True):
    """One start."""

    serving_seconds: float
    """To the log line."""
    ready_seconds: float
    cpu_seconds: float
    """Spent when it was ready, by the process and what it started."""


class Starts(Struct):
    """The starts of one configuration."""

    row: Row
    starts: list[Start] = []

    @property
    def ready_seconds(self) -> float:
        """Median."""
        return median([each.ready_seconds for each in self.starts])


HEAD: Final = ("to", f"ready s (<= {MOST_SECONDS})", "serving s", "CPU s", "slowest s", "")


def cells(found: Starts) -> list[str]:
    """The row of the table."""
    return [
        found.row.title,
        f"{found.ready_seconds:.2f}",
        f"{median([each.serving_seconds for each in found.starts]):.2f}",
        f"{median([each.cpu_seconds for each in found.starts]):.2f}",
        f"{max(each.ready_seconds for each in found.starts):.2f}",
        "reached" if found.ready_seconds <= MOST_SECONDS else "missed",
    ]


def configuration(row: Row, running: Stubs, folder: Path) -> dict[str, Any]:
    """The row's; with a file sink if it names no destination."""
    tree = row.configuration(running.bootstrap, running.endpoint)
    if not row.to:
        tree["sinks"]["file"] = {"type": "file", "path": str(folder / "events")}
        for route in tree["routes"].values():
            route["to"] = ["file"]
    return tree


def start(row: Row, running: Stubs, folder: Path, core: int) -> Start:
    """Start it once, and end it. Raises ChildError."""
    folder.mkdir(exist_ok=True)
    file, log = folder / "penstock.yaml", folder / "ours.log"
    file.write_text(yaml.safe_dump(configuration(row, running, folder)), "utf-8")
    command = ["taskset", "-c", str(core), *leashed("service.cli", "serve", "--config", file)]
    began = time.monotonic()
    with Child("Penstock", command, log, isolated(os.environ, running.endpoint)) as child:
        admin = child.logged("serving", POLL_SECONDS)["admin"]
        serving = time.monotonic() - began
        while not _ready(admin):
            child.check()
            time.sleep(POLL_SECONDS)
        return Start(serving, time.monotonic() - began, cores.cpu_seconds(child.pid))


def _ready(admin: str) -> bool:
    with suppress(urllib.error.URLError):
        asked(f"{admin}/readyz")
        return True
    return False


def page(found: Sequence[Starts], arguments: Sequence[str]) -> str:
    """The text of bench/START.md."""
    table = grid.markdown(HEAD, list(map(cells, found)))
    return results.page("From start to ready", "bench.start", arguments, ["", table])


def main() -> int:
    """Start what is asked for, print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="starts of each (7), after one that does not count")
    parser.add_argument("--folder", type=Path, default=CACHE / "start", help="for configuration and logs")
    parser.add_argument("--write", action="store_true", help="the table into bench/START.md")
    options = parser.parse_args()
    folder = options.folder.resolve()
    found = [Starts(row) for row in ROWS]
    with stage(folder) as bench:
        try:
            for number in range(1 + options.rounds):
                for each in found:
                    began = start(each.row, bench.stubs, folder / each.row.name, bench.service_core)
                    if number:
                        each.starts.append(began)
        except ChildError as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
    print(grid.text(HEAD, list(map(cells, found))))
    if options.write:
        return results.publish(FILE, lambda: page(found, sys.argv[1:]), ())
    return 0


if __name__ == "__main__":
    sys.exit(main())
