"""`make run`, as a user starts it: the table agrees, and nothing is left running, however it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.child import ROOT
from deploy.local.emulator import free_port

FLIGHTS = 1000
CANCELLED = 4
"""Among the first thousand flights."""
LINE = re.compile(
    r"^ *(Kinesis stream|Firehose to S3|SQS queue|Kafka topic|dead letters) +([\d, ]+?) +✓ *$", re.MULTILINE
)


class Quickstart:
    """The quickstart as a process of its own, on free ports."""

    def __init__(self, *options: str, port: int | None = None) -> None:
        ports = ["--port", str(port or free_port()), "--admin-port", str(free_port())]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "examples.quickstart", *ports, *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env={**os.environ, "COLUMNS": "100", "PYTHONUNBUFFERED": "1"},
        )
        self.output = ""

    def read_until(self, text: str) -> None:
        """Read its output up to the line with `text`."""
        assert self.process.stdout is not None
        while text not in (line := self.process.stdout.readline()):
            assert line, f"it ended without {text!r}:\n{self.output}"
            self.output += line
        self.output += line

    def children(self) -> list[int]:
        """Process ids of what it runs now. A small Linux lacks `ps`, macOS lacks /proc."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        if tasks.is_dir():
            return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        pairs = [tuple(map(int, line.split())) for line in listing.splitlines()]
        return [pid for pid, parent in pairs if parent == self.process.pid]

    def end(self) -> int:
        """Read the rest of its output. Returns its exit code."""
        assert self.process.stdout is not None
        self.output += self.process.stdout.read()
        return self.process.wait(60)


@contextmanager
def quickstart(*options: str, port: int | None = None) -> Iterator[Quickstart]:
    """Ends it, whatever the test finds."""
    running = Quickstart(*options, port=port)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        if running.process.stdout is not None:
            running.process.stdout.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_thousand_flights_are_found_at_all_four_destinations() -> None:
    with quickstart("--once", "--replay", str(FLIGHTS)) as run:
        run.read_until("Penstock ")
        children = run.children()
        assert run.end() == 0, run.output
    table = {name: [int(n.replace(",", "")) for n in numbers.split()] for name, numbers in LINE.findall(run.output)}
    valid = FLIGHTS - CANCELLED
    for name in ("Kinesis stream", "Firehose to S3", "SQS queue", "Kafka topic"):
        sent, delivered, rejected, found, missing, _duplicates = table[name]
        assert (sent, delivered, rejected, found, missing) == (FLIGHTS, valid, CANCELLED, valid, 0), run.output
    assert table["dead letters"][:5] == [CANCELLED, CANCELLED, 0, CANCELLED, 0], run.output
    assert "800 flights were posted, 200 written to the Kafka topic flights.incoming" in run.output
    assert len(children) == 3
    assert not [pid for pid in children if alive(pid)]


def test_asked_to_end_it_stops_all_that_it_started() -> None:
    with quickstart("--replay", "0") as run:
        run.read_until("Ctrl-C stops everything")
        children = run.children()
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 0, run.output
    assert len(children) == 3
    assert not [pid for pid in children if alive(pid)]


def test_killed_it_leaves_nothing_running() -> None:
    with quickstart("--replay", "0") as run:
        run.read_until("Ctrl-C stops everything")
        children = run.children()
        run.process.kill()
        run.end()
    assert len(children) == 3
    deadline = time.monotonic() + 40
    while left := [pid for pid in children if alive(pid)]:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)


def test_a_port_that_is_taken_is_named_with_the_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with quickstart("--replay", "0", port=port) as run:
            assert run.end() == 1
    assert f"Port {port} of 127.0.0.1 cannot be used" in run.output
    assert "make run PORT=" in run.output
