"""The bench as a command: one short row, our service and the ceiling, checked against the destinations' counts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cores import pair
from bench.program import Missing, compiled
from deploy.local.child import ROOT


def test_one_row_runs_from_configuration_to_table(tmp_path: Path) -> None:
    try:
        compiled()
        pair()
    except (Missing, LookupError) as missing:
        pytest.skip(f"without the bench: {missing}")
    row = ["--only", "lines_kafka", "--sides", "ours", "ceiling", "--no-primitives"]
    brief = ["--seconds", "0.3", "--rounds", "1", "--warm-up", "0.2", "--connections", "2"]
    switched = ["--folder", str(tmp_path), "--env", "PENSTOCK__SINKS__KAFKA__MEMORY=32MiB"]
    ran = subprocess.run(
        [sys.executable, "-m", "bench", *row, *brief, *switched],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    assert "lines_kafka ours: " in ran.stderr
    table = next(line for line in ran.stdout.splitlines() if line.startswith("100 a request, lines -> Kafka"))
    assert " sent" in table
    assert "FAILED" not in ran.stdout + ran.stderr
