"""Ten thousand connections of rude clients on a real process: others are served, memory stays within its budget, and
all is given back. The clients are a process of their own (`bench.attack`)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit

import pytest

from bench.attack import ATTACKS
from tests.conservation import samples, total
from tests.integration.command import ROOT, Serving, environment
from tests.integration.test_resident_memory import resident

MEMORY = 64
"""MiB."""
CONFIGURATION = f"""
server:
  auth: none
  memory: {MEMORY}MiB
  body_timeout: 20s
  request_timeout: 25s
sinks: {{data: {{type: "bench.nowhere:Nowhere"}}}}
routes: {{orders: {{to: [data]}}}}
"""
MANY = 10_000


@contextmanager
def attack(name: str, url: str, count: int) -> Iterator[subprocess.Popen[str]]:
    """Rude clients, until the block ends; entered once they all are there."""
    command = [sys.executable, "-m", "bench.attack", name, url, str(count)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as clients:
        assert clients.stdin is not None
        assert clients.stdout is not None
        try:
            assert json.loads(clients.stdout.readline()) == {"attack": name}
            yield clients
        finally:
            clients.stdin.close()


def metric(serving: Serving, name: str, **labels: str) -> float:
    """The sum of its samples with these labels."""
    return total(samples(serving.get("/metrics")), name, **labels)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/statm")
@pytest.mark.parametrize(("name", "count"), [("idle", MANY), ("heads", 2000)])
def test_thousands_of_rude_connections_cost_little_and_hold_nobody_up(tmp_path: Path, name: str, count: int) -> None:
    _, hard = getrlimit(RLIMIT_NOFILE)
    if hard not in (RLIM_INFINITY, -1) and hard < count + 1000:
        pytest.skip(f"at most {hard} files may be open here")
    (tmp_path / "penstock.yaml").write_text(CONFIGURATION)
    with Serving("serve", folder=tmp_path) as serving:
        assert serving.post("orders", {"number": 0})[0] == 200
        before = resident(serving.process.pid)
        with attack(name, serving.url, count):
            assert metric(serving, "penstock_http_connections_open", port="server") >= count * 0.9
            for number in range(20):
                assert serving.post("orders", {"number": number})[0] == 200
            assert resident(serving.process.pid) - before <= 1.5 * MEMORY
        while metric(serving, "penstock_http_connections_open", port="server") > 1:
            assert serving.post("orders", {"number": 0})[0] == 200
        assert metric(serving, "penstock_http_body_bytes") == 0


def test_every_attack_that_is_measured_says_what_it_is() -> None:
    assert all(each.title and (each.rate > 0) != (each.count > 0) for each in ATTACKS.values())
