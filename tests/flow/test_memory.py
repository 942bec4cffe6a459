"""What is charged for held events, and for requests in flight, is what the process grows by, within a fifth."""

import json
import subprocess
import sys

import pytest

from tests.flow import resident, resident_requests


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
@pytest.mark.parametrize("kind", resident.KINDS)
def test_the_charge_is_the_growth_of_the_process(kind: str) -> None:
    found = _measured(resident.__name__, kind)
    assert 0.8 <= found["charged"] / found["grown"] <= 1.2, found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm and /proc/net/tcp")
@pytest.mark.parametrize("kind", resident_requests.KINDS)
def test_what_requests_are_charged_is_the_growth_of_the_process(kind: str) -> None:
    found = _measured(resident_requests.__name__, kind)
    assert 0.8 <= found["charged"] / found["grown"] <= 1.2, found


def _measured(program: str, kind: str) -> dict[str, float]:
    """What a process of its own has found: a used heap says nothing of what is held."""
    command = [sys.executable, "-m", program, kind]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, float] = json.loads(ran.stdout)
    return found
