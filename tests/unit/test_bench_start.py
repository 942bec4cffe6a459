"""What the bench of starts computes, and what it starts."""

from pathlib import Path

import pytest
import yaml

from bench import start
from bench.program import Stubs
from bench.rows import Row
from bench.start import ROWS, Start, Starts
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


def test_the_admin_port_is_known_once_its_whole_line_is_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "ours.log"
    line = '{"message":"serving","admin":"http://127.0.0.1:7"}'
    log.write_text('{"message":"no authentication"}\n' + line, "utf-8")
    assert start._admin(log) is None
    log.write_text(log.read_text("utf-8") + "\n", "utf-8")
    assert start._admin(log) == "http://127.0.0.1:7"
