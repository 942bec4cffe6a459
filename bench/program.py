"""The load generator and the destinations: one Go program, compiled when it is needed, and how to run it."""

import fcntl
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from deploy.local.child import ROOT, Child
from deploy.local.emulator import isolated

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


class Order(Struct, frozen=True, kw_only=True):
    """What the load generator is to do."""

    requests: Path
    """The file of them, framed."""
    address: str
    """IPv4 address and port."""
    connections: int
    seconds: float
    """How long to send."""
    events: int = 1
    """In each request."""
    rate: float = 0.0
    """Requests a second in open loop; 0: each connection sends as soon as it is answered."""
    patience: float = 15.0
    """Seconds that answers may take after the end."""


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
    p99_ms: float
    p999_ms: float
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
        return msgspec.json.decode(asked(f"{self.endpoint}/counts"), type=Counts)

    @contextmanager
    def holding(self, destination: str) -> Iterator[None]:
        """While the block runs, calls to a destination of AWS wait, unanswered and uncounted."""
        asked(f"{self.endpoint}/gates/{destination}/shut", "POST")
        try:
            yield
        finally:
            asked(f"{self.endpoint}/gates/{destination}/open", "POST")


def asked(url: str, method: str = "GET") -> bytes:
    """The body of an answer, which is 200; over no proxy. Raises OSError."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(urllib.request.Request(url, method=method), timeout=10) as answer:
        body: bytes = answer.read()
    return body


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
    with (CACHE / ".lock").open("w") as lock:  # the library of Go is compiled once, which takes a minute
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = go("build", "-o", str(program), ".")
    if built.returncode:
        raise Missing(f"The bench's Go program cannot be compiled:\n{built.stderr}")
    return program


def go(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Go in the program's folder: always as it is compiled, so that nothing is compiled twice."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
    return subprocess.run(["go", *words], cwd=SOURCE, env=environment, capture_output=True, text=True, check=False)


@contextmanager
def stubs(program: Path, folder: Path) -> Iterator[Stubs]:
    """The destinations, until the block ends. They run on this process's cores."""
    log = folder / "stubs.log"
    with Child("The destinations", [program, "stubs"], log, _environment(), announces=True) as child:
        told: dict[str, Any] = child.announcement()
        yield Stubs(told["bootstrap"], told["endpoint"])


@contextmanager
def connected(program: Path, order: Order) -> Iterator[Callable[[], Load]]:
    """The load generator, its connections open for as long as the block runs. What it yields carries out the order.

    Raises RuntimeError, here or when it sends.
    """
    words = [f"-{name}={value}" for name, value in asdict(order).items()]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [program, "load", *words], env=_environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        _told(process)

        def send() -> Load:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return msgspec.json.decode(_told(process), type=Load)

        yield send


def _told(process: "subprocess.Popen[str]") -> str:
    """The next line that the load generator prints."""
    assert process.stdout is not None
    assert process.stderr is not None
    if line := process.stdout.readline():
        return line
    raise RuntimeError(f"the load generator failed: {process.stderr.read().strip()}")


def load(program: Path, order: Order) -> Load:
    """Connect, send and close. Raises RuntimeError."""
    with connected(program, order) as send:
        return send()


def _environment() -> dict[str, str]:
    """What the program runs in: one thread at a time, for it has one core."""
    return isolated(os.environ) | {"GOMAXPROCS": "1"}
