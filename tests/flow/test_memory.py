"""What is charged for held events is what the process grows by, within a fifth."""

import json
import subprocess
import sys

import pytest

from tests.flow.resident import KINDS


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
@pytest.mark.parametrize("kind", KINDS)
def test_the_charge_is_the_growth_of_the_process(kind: str) -> None:
    command = [sys.executable, "-m", "tests.flow.resident", kind]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(ran.stdout)
    assert 0.8 <= found["charged"] / found["grown"] <= 1.2, found
