"""A file system that is really full under the journal: a small tmpfs of the test's own, which takes root to mount."""

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command import Serving
from tests.integration.workers import until

CONFIGURATION = """
server: {{drain_timeout: 2s, request_timeout: 3s}}
journal: {{path: {disk}/journal, volume: ephemeral, max_bytes: 1GiB, min_free: 0}}
sinks:
  away: {{type: "tests.integration.gated_sink:Gated", path: {folder}/taken, gate: {folder}/gate, {timeouts}}}
  dead: {{type: file, path: dead, {timeouts}}}
routes:
  orders: {{ack: stored, id: /n, to: [away], dead_letter: dead}}
"""
TIMEOUTS = "call_timeout: 500ms, patience: 1s"
SMALL, LARGE = "size=8m", "size=64m"
EVENTS = 100
MOST = 400
"""Requests after which a disk of eight megabytes must have been full."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", SMALL, "tmpfs", str(place)], capture_output=True, check=False
        ).returncode
    )
    if not mounted:
        pytest.skip("a file system can be mounted by root alone")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def numbers(folder: Path) -> Counter[str]:
    """How often each event is at the destination."""
    path = folder / "taken"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(line.split('"')[3] for line in lines)


def test_a_full_disk_refuses_what_is_new_keeps_what_was_taken_and_is_used_again_once_there_is_room(
    tmp_path: Path, disk: Path
) -> None:
    text = CONFIGURATION.format(folder=tmp_path, disk=disk, timeouts=TIMEOUTS)
    (tmp_path / "penstock.yaml").write_text(text)
    stored: set[str] = set()

    def post(serving: Serving, request: int) -> int:
        names = [f"{request}-{n}" for n in range(EVENTS)]
        status, answer = serving.post("orders", [{"n": name, "filling": "x" * 400} for name in names])
        if status == 202:
            stored.update(names)
        else:
            assert status == 503
            assert answer["retryable"]
        return status

    with Serving("serve", folder=tmp_path) as serving:
        request = next(request for request in range(MOST) if post(serving, request) == 503)
        assert stored
        assert '"journal"' in serving.get("/status")
        subprocess.run(["mount", "-o", f"remount,{LARGE}", str(disk)], check=True)
        again = iter(range(request + 1, request + MOST))
        until(lambda: post(serving, next(again)) == 202)
        serving.process.kill()
        serving.end()
    with Serving("serve", folder=tmp_path) as serving:
        (tmp_path / "gate").touch()
        until(lambda: numbers(tmp_path).keys() >= stored)
    assert numbers(tmp_path).keys() == stored, "what was refused was not delivered"
    assert set(numbers(tmp_path).values()) == {1}
