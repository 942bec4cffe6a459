"""`python -m bench.watched`: what it costs to be looked at.

Two services on one core, loaded in turns: nobody looks at one; of the other Prometheus scrapes `/metrics` each second,
the console is open, and CloudWatch gets its metrics every 10 seconds, from an endpoint that takes all. Each looks only
while its own service is loaded, so that the other does not pay for it.
Exit code 1 if a run failed; a goal that is missed is only told.
"""

import argparse
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Final
from urllib.request import urlopen

from msgspec import Struct

from bench import grid
from bench.contestants import Contestant, Side, Ways, started
from bench.measure import Bench, Disagreement, Measured, undisturbed
from bench.rows import ROWS, Row
from bench.runs import tell
from bench.stage import add_options, stage, ways
from deploy.local.child import ChildError

LEAST: Final = 0.97
"""Of the events a second, and of the events for a CPU second, without anybody who looks."""
SCRAPE_SECONDS: Final = 1.0
OFF, ON = "nobody looks", "looked at"
SHAPES: Final = tuple(row for row in ROWS if row.name in ("kafka", "batch_kinesis"))


class _Taker(BaseHTTPRequestHandler):
    """Takes every PutMetricData: the answer is an empty one of Smithy's RPC v2 over CBOR, as the SDK asks."""

    protocol_version = "HTTP/1.1"
    taken = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        type(self).taken += 1
        body = b"\xa0"
        self.send_response(200)
        self.send_header("smithy-protocol", "rpc-v2-cbor")
        self.send_header("Content-Type", "application/cbor")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def _cloudwatch() -> Iterator[str]:
    """The endpoint, until the block ends. Raises Disagreement then if nothing was sent there."""
    _Taker.taken = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Taker) as server:
        thread = threading.Thread(target=server.serve_forever, name="cloudwatch")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
    if not _Taker.taken:
        raise Disagreement("CloudWatch was sent nothing")


@contextmanager
def _watching(admin: str) -> Iterator[None]:
    """Scrape, and keep the console open, until the block ends. Raises Disagreement then if either got nothing."""
    over = threading.Event()
    seen = {"scrapes": 0, "pictures": 0}

    def scrape() -> None:
        while not over.wait(SCRAPE_SECONDS):
            with urlopen(f"{admin}/metrics", timeout=10) as page:
                page.read()
            seen["scrapes"] += 1

    def look() -> None:
        with urlopen(f"{admin}/console/events", timeout=10) as stream:
            for line in stream:
                seen["pictures"] += line.startswith(b"data:")
                if over.is_set():
                    return

    threads = [threading.Thread(target=each, name=each.__name__) for each in (scrape, look)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if not all(seen.values()):
        raise Disagreement(f"those who look saw too little: {seen}")


class Found(Struct):
    """Runs of one row, in the order of their rounds."""

    row: Row
    runs: dict[str, list[Measured]]
    failure: str = ""

    @property
    def per_second(self) -> float:
        """Events a second, looked at over not: the median of the rounds."""
        return median([on.per_second / off.per_second for on, off in self._pairs()])

    @property
    def per_cpu(self) -> float:
        """The same of events for a CPU second."""
        return median([off.cpu_microseconds / on.cpu_microseconds for on, off in self._pairs()])

    def _pairs(self) -> list[tuple[Measured, Measured]]:
        return list(zip(self.runs[ON], self.runs[OFF], strict=True))


def run(bench: Bench, row: Row, options: argparse.Namespace, folder: Path) -> Found:
    """Both services, in turns. What goes wrong is in the result's `failure`."""
    found = Found(row, {OFF: [], ON: []})
    try:
        with ExitStack() as stack:
            endpoint = stack.enter_context(_cloudwatch())
            own = ways(options)
            running: Mapping[str, Contestant] = {
                OFF: stack.enter_context(_service(bench, row, folder / f"{row.name}_off", own)),
                ON: stack.enter_context(_service(bench, row, folder / f"{row.name}_on", _switched_on(own, endpoint))),
            }
            for contestant in running.values():
                bench.measure(contestant, row, options.warm_up)
            for _ in range(options.rounds):
                for which, contestant in running.items():
                    found.runs[which].append(_measured(bench, contestant, row, options.seconds, which))
    except (Disagreement, ChildError, RuntimeError, OSError) as error:
        found.failure = str(error)
    return found


def _measured(bench: Bench, contestant: Contestant, row: Row, seconds: float, which: str) -> Measured:
    def once() -> Measured:
        with ExitStack() as stack:
            if which == ON:
                stack.enter_context(_watching(contestant.admin))
            return bench.measure(contestant, row, seconds)

    measured = undisturbed(once, lambda each: each.void)
    tell(f"{row.name}, {which}", measured)
    return measured


def _service(bench: Bench, row: Row, folder: Path, own: Ways) -> AbstractContextManager[Contestant]:
    folder.mkdir(exist_ok=True)
    return started(Side.OURS, row, bench.stubs, bench.service_core, folder, own)


def _switched_on(own: Ways, endpoint: str) -> Ways:
    cloudwatch = {
        "MODE": "api",
        "INTERVAL": "10s",
        "ENDPOINT_URL": endpoint,
    }
    return Ways(
        {**own.environment, **{f"PENSTOCK__CLOUDWATCH__{name}": value for name, value in cloudwatch.items()}}, own.flags
    )


HEAD: Final = ("", "events/s", "looked at", "ratio", "by CPU", "goal", "")


def cells(found: Found) -> list[str]:
    """A row of the table."""
    verdict = "reached" if found.per_cpu >= LEAST and found.per_second >= LEAST else "missed"
    void = any(each.void for runs in found.runs.values() for each in runs)
    return [
        found.row.title,
        *(f"{median([each.per_second for each in found.runs[which]]):,.0f}" for which in (OFF, ON)),
        f"{found.per_second:.3f}",
        f"{found.per_cpu:.3f}",
        f"{LEAST:g}",
        verdict + (" VOID" if void else ""),
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.watched", description=__doc__)
    parser.add_argument("--only", choices=[row.name for row in SHAPES], help="one of the rows")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run (10)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, in turns; medians are shown (5)")
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds (3)")
    add_options(parser, "watched")
    return parser.parse_args()


def main() -> int:
    """Run what is asked for, print what was found; the exit code."""
    options = _options()
    folder = options.folder.resolve()
    with stage(folder) as bench:
        rows = [row for row in SHAPES if options.only in (None, row.name)]
        found = [run(bench, row, options, folder) for row in rows]
    print(grid.text(HEAD, [cells(each) for each in found if not each.failure]))
    for each in found:
        if each.failure:
            print(f"FAILED: {each.row.name}: {each.failure}", file=sys.stderr)
    return 1 if any(each.failure for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
