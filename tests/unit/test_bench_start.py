"""What the bench of starts computes, and what it starts."""

import os
import sys
from pathlib import Path

import pytest
import yaml

from bench import start
from bench.program import Stubs
from bench.rows import Row
from bench.start import ROWS, Start, Starts
from deploy.local.child import Child
from service.config.load import load


def test_a_start_counts_by_its_median_until_ready_not_until_it_says_that_it_serves() -> None:
    found = Starts(ROWS[1], [Start(0.9, 1.4, 1.0), Start(1.0, 1.5, 1.2), Start(1.4, 3.0, 1.1)])
    assert found.ready_seconds == 1.5
    assert start.cells(found) == ["Kafka", "1.50", "1.00", "1.10", "3.00", "reached"]
    found.starts[0] = Start(0.9, 1.6, 1.0)
    assert start.cells(found)[-1] == "missed"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_started_has_the_sinks_that_its_row_names(row: Row, tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    running = Stubs("127.0.0.1:9092", "http://127.0.0.1:1")
    file.write_text(yaml.safe_dump(start.configuration(row, running, tmp_path)), "utf-8")
    config = load(file, {})
    assert set(config.sinks) == set(row.to or ("file",))
    assert set(config.started) == set(config.sinks)


def test_what_a_child_logs_is_known_once_its_whole_line_is_there(tmp_path: Path) -> None:
    pieces = ["no JSON: serving\n", '{"a":"serving"}\n', '{"message":"serving",', '"admin":1}\n']
    program = (
        "import sys, time\n"
        f"for piece in {pieces!r}:\n"
        "    sys.stdout.write(piece); sys.stdout.flush(); time.sleep(0.05)\n"
        "time.sleep(60)"
    )
    with Child("it", [sys.executable, "-c", program], tmp_path / "log", dict(os.environ)) as child:
        assert child.logged("serving", 0.001) == {"message": "serving", "admin": 1}
