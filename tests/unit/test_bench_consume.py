"""The bench of the kafka source: its ways are configurations, costs and ratios are told right, what is lost is seen."""

import json
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from bench.bodies import SCHEMA
from bench.consume.__main__ import HEAD, Found, cells
from bench.consume.backlog import Backlog
from bench.consume.course import Run, Sample, between, complaints
from bench.consume.ways import WAYS, configuration
from bench.cores import Core
from bench.measure import Disagreement
from bench.program import Counts, Taken
from bench.rows import Row
from service.config.load import load

NOTHING = Taken(events=0, records=0, calls=0, with_headers=0, unknown=0)
BEFORE = Counts(NOTHING, NOTHING, NOTHING, NOTHING, cpu_seconds=0.0)
BACKLOG = Backlog("127.0.0.1:9092", 1000)


def made(cpu_microseconds: float, strangers: float = 0.0) -> Run:
    return Run("kafka", 1000.0, cpu_microseconds, 2**20, 0.5, strangers)


def sample(at: float, taken: int, cpu_seconds: float, served: float) -> Sample:
    return Sample(at, taken, cpu_seconds, 0.0, Core(served, served), Core(0.0, at / 2))


def after(events: int, unknown: int = 0) -> Counts:
    return replace(BEFORE, kafka=replace(NOTHING, events=events, unknown=unknown))


@pytest.mark.parametrize("row", WAYS, ids=lambda row: row.name)
def test_the_configuration_of_each_way_is_one(row: Row, tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    (tmp_path / "order.schema.json").write_text(json.dumps(SCHEMA), "utf-8")
    tree = configuration(row, "127.0.0.1:9092", "group", "127.0.0.1:9093", "http://127.0.0.1:1")
    file.write_text(yaml.safe_dump(tree), "utf-8")
    loaded = load(file, {})
    assert list(loaded.sources) == ["backlog"]
    assert [to.sink for to in loaded.routes["orders"].to] == list(row.to)
    assert (loaded.routes["orders"].schema_ is not None) == row.schema


def test_costs_count_from_before_the_first_delivery_until_the_last() -> None:
    samples = [
        sample(0.0, 0, 3.0, 3.0),
        sample(1.0, 0, 5.0, 5.0),
        sample(2.0, 200, 6.0, 6.0),
        sample(6.0, 1000, 7.0, 7.5),
        sample(9.0, 1000, 9.0, 9.5),
    ]
    found = between("kafka", samples, 1000, 2**20)
    assert found.per_second == pytest.approx(200)
    assert found.cpu_microseconds == pytest.approx(2000)
    assert found.strangers == pytest.approx(0.1)
    assert found.load_core == pytest.approx(0.5)
    assert found.void


def test_a_run_that_is_over_between_two_looks_is_not_measured() -> None:
    with pytest.raises(Disagreement, match="take more messages"):
        between("kafka", [sample(0.0, 0, 0.0, 0.0), sample(1.0, 1000, 1.0, 1.0)], 1000, 0)


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    plain = Found(None, [made(4.0), made(8.0), made(6.0)])
    ours = Found(WAYS[0], [made(10.0), made(16.0), made(20.0)])
    assert ours.ratio(plain) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("parts", "goal", "verdict"),
    [({}, "0.40", "missed"), ({"consume": 4.0, "produce": 2.0}, "0.40", "missed"), ({"sum": 20.0}, "0.20", "reached")],
)
def test_the_goal_is_eight_tenths_of_the_primitives_where_that_is_less(
    parts: dict[str, float], goal: str, verdict: str
) -> None:
    plain = Found(None, [made(5.0)])
    row = cells(Found(WAYS[0], [made(20.0)], parts), plain)
    assert len(row) == len(HEAD)
    assert (row[HEAD.index("x plain")], row[HEAD.index("goal")], row[-1]) == ("0.25", goal, verdict)


def test_a_disturbed_run_is_told_as_void() -> None:
    plain = Found(None, [made(5.0)])
    assert cells(Found(WAYS[0], [made(5.0, strangers=0.06)]), plain)[-1] == "reached VOID"


def test_all_that_was_produced_once_and_committed_is_no_complaint() -> None:
    assert complaints(BACKLOG, "kafka", BEFORE, after(1000), code=0, uncommitted=0) == []


@pytest.mark.parametrize(
    ("taken", "unknown", "code", "uncommitted"),
    [(999, 0, 0, 0), (1001, 0, 0, 0), (1000, 1, 0, 0), (1000, 0, 1, 0), (1000, 0, 0, 1)],
    ids=["lost", "twice", "not understood", "failed", "uncommitted"],
)
def test_each_contradiction_is_a_complaint(taken: int, unknown: int, code: int, uncommitted: int) -> None:
    assert len(complaints(BACKLOG, "kafka", BEFORE, after(taken, unknown), code, uncommitted)) == 1
