"""The bench of the journal: its rows are configurations, its goals are told apart, the disk is asked."""

from math import nan
from pathlib import Path

import pytest
import yaml

from bench.contestants import Side
from bench.disk import Syncs, syncs
from bench.journal import AWAY, DELIVERED, HEAD, SHAPES, STORED, Found, cells, lines
from bench.measure import Measured
from bench.rows import Row
from service.config.load import load


def run(per_second: float, p99_ms: float = 2.0) -> Measured:
    return Measured(
        Side.OURS, per_second, 1.0, p99_ms, 3.0, cpu_microseconds=20.0, peak_bytes=2**20, load_core=0.5, load_cpu=0.3,
        stubs_cpu=0.1, strangers=0.0, headers=nan,
    )  # fmt: skip


def found(stored: float, p99_ms: float = 2.0) -> Found:
    closed = {DELIVERED: [run(90_000)], STORED: [run(stored)], AWAY: [run(stored)]}
    opened = {DELIVERED: [run(1)], STORED: [run(1, p99_ms)], AWAY: [run(1, p99_ms)]}
    return Found(100, closed, opened, [Syncs(500, 1.0, 4.0)], rate=300.0)


@pytest.mark.parametrize("row", [row for rows in SHAPES.values() for row in rows.values()], ids=lambda row: row.name)
def test_the_configuration_of_each_row_is_one(row: Row, tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(yaml.safe_dump(row.configuration("127.0.0.1:9092", "http://127.0.0.1:1")), "utf-8")
    route = load(file, {}).routes["orders"]
    assert route.ack == row.ack
    assert [to.sink for to in route.to] == list(row.to)


@pytest.mark.parametrize(("per_second", "verdict"), [(60_000.0, "reached"), (59_999.0, "missed")])
def test_a_goal_is_of_those_that_store(per_second: float, verdict: str) -> None:
    made = cells(found(per_second))
    assert [row[-1] for row in made] == ["", verdict, verdict]
    assert {len(row) for row in made} == {len(HEAD)}


@pytest.mark.parametrize(("p99_ms", "verdict"), [(17.0, "reached"), (17.1, "missed")])
def test_an_answer_may_take_three_times_the_disks_and_five_milliseconds(p99_ms: float, verdict: str) -> None:
    told = [line for line in lines(found(60_000, p99_ms)) if "stored" in line]
    assert len(told) == 2
    assert all(line.endswith(f"<= 17.00 ms: {verdict}") for line in told)


def test_the_disk_is_asked_and_left_as_it_was(tmp_path: Path) -> None:
    asked = syncs(tmp_path, 0.05)
    assert 0 < asked.p50_ms <= asked.p99_ms
    assert not list(tmp_path.iterdir())
