"""What growth is: a ratio within a round, over the bound or not, void or wrong; and what is written of it."""

import json
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from bench.growth import figures, held, page, plots
from bench.growth.axes import AXES, Axis
from bench.growth.figures import Growth, Minute, Minutes
from bench.measure import Measured
from bench.program import Missing
from bench.rows import Row
from service.config.load import load
from tests.unit.test_bench_agreement import RUN

AXIS = AXES[1]
SIZES = [axis.sizes for axis in (*AXES, held.AXIS)]


def run(cpu: float) -> Measured:
    return replace(RUN, cpu_microseconds=cpu)


def growth(*of_hundred: float) -> Growth:
    """Three rounds, in which the smallest size costs 10, 20 and 40 microseconds."""
    return Growth(AXIS, {1: list(map(run, (10, 20, 40))), 10: [run(11)] * 3, 100: list(map(run, of_hundred))})


def minutes(*of_each: tuple[float, int]) -> Minutes:
    return Minutes([Minute(run(cpu), mib * 2**20) for cpu, mib in of_each])


def test_growth_is_the_median_of_the_rounds_ratios() -> None:
    found = growth(12, 22, 80)
    assert found.ratio(1) == 1
    assert found.ratio(100) == pytest.approx(1.2)  # of 1.2, 1.1 and 2; the medians' ratio is 1.1
    assert found.cpu(100) == 22
    assert isnan(Growth(AXIS, {}).ratio(100))


def test_a_size_that_costs_a_fifth_more_is_within_the_bound_and_one_above_it_is_over() -> None:
    within, over = growth(12, 23.9, 48), growth(12.2, 24.2, 48.8)
    assert within.over == []
    assert over.over == [100]
    assert figures.verdicts([within, over], None) == [
        "routes, 1 to 100: at most x 1.20, at 100 (bound x 1.20: kept)",
        "routes, 1 to 100: at most x 1.22, at 100 (bound x 1.20: EXCEEDED)",
    ]
    assert [row[-1] for row in figures.cells(over)] == ["", "", "OVER"]


def test_a_size_that_costs_less_is_no_growth() -> None:
    assert growth(1, 1, 1).over == []


def test_minutes_are_held_to_the_first_one_in_cost_and_in_memory() -> None:
    assert minutes((10, 50), (12, 60), (5, 40)).over == []
    assert minutes((10, 50), (12.1, 50)).over == [1]
    leaking = minutes((10, 50), (10, 55), (10, 61))
    assert leaking.over == [2]
    assert figures.verdicts([], leaking) == [
        "CPU per event over 3 minutes: at most x 1.00, in minute 1 (bound x 1.20: kept)",
        "resident memory over 3 minutes: at most x 1.22, in minute 3 (bound x 1.20: EXCEEDED)",
    ]


def test_a_run_that_fell_behind_its_rate_or_was_disturbed_is_void() -> None:
    found = growth(10, 20, 40)
    assert found.void == []
    found.runs[100][1] = replace(RUN, fell_behind=True, strangers=0.5)
    assert found.void == [
        "routes 100: others took 50% of the service's core",
        "routes 100: not all requests were sent and answered in time",
    ]
    assert [row[-1] for row in figures.cells(found)] == ["", "", "VOID"]
    assert Minutes([Minute(replace(RUN, load_core=0.95), 1)]).void == ["minute 1: the load's core was 95% busy"]


def test_an_axis_that_failed_says_so_and_has_no_figures() -> None:
    failed = Growth(AXIS, {1: [], 10: [], 100: []}, "kafka has taken 9 events\n| a line of a log")
    (row,) = figures.cells(failed)
    assert row[-1] == "FAILED: kafka has taken 9 events"
    assert set(row[1:-1]) == {""}
    assert figures.verdicts([failed], Minutes([])) == ["routes: FAILED"]


@pytest.mark.parametrize("axis", [*AXES, held.AXIS], ids=lambda axis: axis.name)
def test_the_sizes_of_an_axis_grow_from_the_smallest(axis: Axis) -> None:
    sizes = [size for size, _ in axis.sizes]
    assert sizes == sorted(set(sizes))
    assert {row.events for _, row in axis.sizes} == {axis.sizes[0][1].events}


@pytest.mark.parametrize("row", [row for sizes in SIZES for _, row in sizes], ids=lambda row: f"{row.routes} routes")
def test_every_route_of_a_size_gets_as_many_requests_and_every_sink_as_many_routes(row: Row, tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(yaml.safe_dump(row.configuration("127.0.0.1:9092", "http://127.0.0.1:1")), "utf-8")
    config = load(file, {})
    sent = {f"/v1/{name} ".encode(): row.ours().count(f"POST /v1/{name} ".encode()) for name in config.routes}
    sent.pop(f"/v1/{held.HELD.route} ".encode(), None)
    assert len(sent) == row.routes
    assert len(set(sent.values())) == 1
    of_sinks = [to.sink for name, route in config.routes.items() if name != held.HELD.route for to in route.to]
    assert {of_sinks.count(sink) for sink in set(of_sinks)} == {row.routes // row.sinks}
    assert len(set(of_sinks)) == row.sinks * len(row.to)


def test_the_page_says_what_was_kept_and_what_was_held_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.results.go_version", lambda: "go1.26.0")
    text = page.page([growth(10, 20, 40)], minutes((10, 50)), [Path("routes.svg")], ["--write"])
    assert "`python -m bench.growth --write`" in text
    assert "- routes, 1 to 100: at most x 1.00" in text or "- routes, 1 to 100: at most x 1.10" in text
    assert AXIS.equal in text
    assert "![routes](plots/routes.svg)" in text


@dataclass
class Paper:
    """Stands for pyplot, its figures and their axes: remembers what it is told."""

    told: list[tuple[str, Any]] = field(default_factory=list)

    def subplots(self, **_: object) -> tuple["Paper", "Paper"]:
        return self, self

    def savefig(self, file: Path, metadata: object) -> None:
        assert metadata == {"Date": None, "Creator": None}
        file.write_text("<svg>  \n</svg>", "utf-8")

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **_: self.told.append((name, arguments))


def test_each_axis_has_a_plot_of_its_ratios_and_the_minutes_have_one(tmp_path: Path) -> None:
    paper = Paper()
    failed = Growth(AXES[0], {}, "it ended")
    drawn = plots.draw(paper, [growth(10, 20, 44), failed], minutes((10, 50), (11, 50)), tmp_path / "plots")
    assert [file.name for file in drawn] == ["routes.svg", "minutes.svg"]
    assert drawn[0].read_text("utf-8") == "<svg>\n</svg>\n"
    lines = [arguments for name, arguments in paper.told if name == "plot"]
    assert json.loads(json.dumps([line[1] for line in lines])) == [
        [1.0, pytest.approx(0.55), 1.0],
        [1.0, pytest.approx(1.1)],
        [1.0, 1.0],
    ]


def test_the_same_figures_make_the_same_plot_with_its_text_as_text(tmp_path: Path) -> None:
    try:
        pyplot = plots.drawing()
    except Missing as missing:
        pytest.skip(str(missing))
    once, again = (plots.draw(pyplot, [growth(10, 20, 40)], None, tmp_path / name)[0] for name in "ab")
    assert once.read_bytes() == again.read_bytes()
    assert ">CPU per event, x smallest</text>" in once.read_text("utf-8")
