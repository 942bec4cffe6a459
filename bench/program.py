"""The load generator and the destinations: one Go program, compiled when it is needed, and how to run it."""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from deploy.local.child import ROOT, Child

SOURCE = ROOT / "bench" / "go"
CACHE = ROOT / ".lab" / "bench"
LEAST_GO = (1, 22)


class Missing(Exception):
    """What the bench needs beyond Python is not there: one sentence."""


class Taken(Struct, frozen=True):
    """What a destination has taken so far."""

    events: int
    records: int
    """On the wire; one may hold many events."""
    calls: int
    with_headers: int
    """Kafka: records that came with headers."""
    unknown: int
    """Calls that it did not understand."""


class Counts(Struct, frozen=True):
    """The destinations' counts at one moment."""

    kafka: Taken
    kinesis: Taken
    firehose: Taken
    sqs: Taken
    cpu_seconds: float
    """CPU time of all of them."""

    def of(self, destination: str) -> Taken:
        """Those of one destination, by its name."""
        taken: Taken = getattr(self, destination)
        return taken


class Load(Struct, frozen=True):
    """What the load generator found in one run."""

    requests: int
    """Answered."""
    acknowledged: int
    """Events."""
    seconds: float
    per_second: float
    """Acknowledged events."""
    statuses: dict[str, int]
    errors: dict[str, int]
    unsent: int
    """Requests of an open loop that were due, and for which no connection was free."""
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    cpu_share: float
    """Of a core, by the load generator itself."""
    sample: str
    """The beginning of the first answer that was not 200."""


class Stubs(Struct, frozen=True):
    """Destinations that run."""

    bootstrap: str
    endpoint: str

    def counts(self) -> Counts:
        """What they have taken so far."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{self.endpoint}/counts", timeout=10) as answer:
            return msgspec.json.decode(answer.read(), type=Counts)


def go_version() -> str:
    """Go's version, such as `go1.26.8`. Raises Missing if there is none, or one that is too old."""
    try:
        told = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Missing(
            "The bench needs Go (its load generator and destinations are a Go program); install Go 1.22 or later."
        ) from error
    found = re.match(r"go(\d+)\.(\d+)", told)
    if found is None or (int(found[1]), int(found[2])) < LEAST_GO:
        raise Missing(f"The bench needs Go 1.22 or later, and this is {told}.")
    return told


def compiled() -> Path:
    """The program, compiled anew if its sources have changed. Raises Missing."""
    go_version()
    if not Path("/proc/stat").exists() or shutil.which("taskset") is None:
        raise Missing("The bench needs Linux and taskset (util-linux), to give service and load a core each.")
    CACHE.mkdir(parents=True, exist_ok=True)
    program = CACHE / "bench"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
    built = subprocess.run(
        ["go", "build", "-o", program, "."], cwd=SOURCE, env=environment, capture_output=True, text=True, check=False
    )
    if built.returncode:
        raise Missing(f"The bench's Go program cannot be compiled:\n{built.stderr}")
    return program


@contextmanager
def stubs(program: Path, folder: Path, environment: Mapping[str, str]) -> Iterator[Stubs]:
    """The destinations, until the block ends. They run on this process's cores."""
    with Child("The destinations", [program, "stubs"], folder / "stubs.log", environment, announces=True) as child:
        told: dict[str, Any] = child.announcement()
        yield Stubs(told["bootstrap"], told["endpoint"])


def load(
    program: Path,
    requests: Path,
    address: str,
    *,
    events: int,
    connections: int,
    seconds: float,
    environment: Mapping[str, str],
    rate: float = 0.0,
) -> Load:
    """Send for `seconds`; at `rate` requests a second, or as fast as they are answered. Raises RuntimeError."""
    options = {
        "address": address,
        "requests": requests,
        "events": events,
        "connections": connections,
        "seconds": seconds,
        "rate": rate,
    }
    command: list[str | Path] = [program, "load", *(f"-{name}={value}" for name, value in options.items())]
    ran = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"the load generator failed: {ran.stderr.strip()}")
    return msgspec.convert(json.loads(ran.stdout), Load)
