"""The bench's table: ratios within a round, goals that primitives allow, and a file that only accepted runs change."""

from math import isnan, nan
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench import table
from bench.contestants import Side
from bench.measure import Measured
from bench.results import write
from bench.rows import ROWS
from bench.table import Latency, Result
from bench.together import Together
from tests.unit.test_bench_agreement import RUN
from tests.unit.test_bench_together import together


def run(side: Side, per_second: float, cpu: float = 10.0, headers: float = nan) -> Measured:
    return replace(RUN, side=side, per_second=per_second, cpu_microseconds=cpu, headers=headers)


def result() -> Result:
    return Result(
        ROWS[0],
        {
            Side.OURS: [run(Side.OURS, 4000), run(Side.OURS, 9000), run(Side.OURS, 8000)],
            Side.NAIVE: [run(Side.NAIVE, 1000, 40), run(Side.NAIVE, 3000, 40), run(Side.NAIVE, 1000, 40)],
            Side.CEILING: [run(Side.CEILING, 90_000)],
        },
        {"schema": 4.0, "kafka": 6.0},
    )


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    found = result()
    assert found.times_naive == 4.0  # of 4, 3 and 8; the medians' ratio would be 8
    assert found.per_second(Side.NAIVE) == 1000


def test_the_sum_of_the_primitives_holds_the_machinery_of_the_ceiling() -> None:
    assert result().primitives == pytest.approx(1e6 / (4 + 6 + 10))
    assert isnan(replace(result(), parts={}).primitives)


def test_a_goal_above_what_the_primitives_allow_is_lowered_to_it() -> None:
    found = result()
    assert found.row.goal == 10
    assert found.goal == 10  # 0.8 * 50,000 / 1,000 is more
    found.parts["kafka"] = 186.0
    assert found.goal == pytest.approx(0.8 * 5000 / 1000)
    assert "reached" in table.text([found])
    found.parts["kafka"] = 100.0
    assert "missed" in table.text([found])


def test_both_forms_of_the_table_have_the_same_cells() -> None:
    found = result()
    row = table.cells(found)
    assert len(row) == len(table.HEAD)
    assert row[:4] == ["1 a request -> Kafka", "1,000", "8,000", "4.0"]
    assert row[table.HEAD.index("x naive, CPU")] == "4.0"
    assert "| " + " | ".join(row) + " |" == table.markdown([found]).splitlines()[2]
    for cell in filter(None, row):
        assert cell in table.text([found])


def test_a_row_that_failed_says_so_and_has_no_figures() -> None:
    row = table.cells(Result(ROWS[0], {}, failure="kafka has taken 9 events\n| a line of a log"))
    assert row[-1] == "FAILED: kafka has taken 9 events"
    assert len(row) == len(table.HEAD)
    assert set(row[1:-1]) == {""}


def test_a_side_that_was_not_run_leaves_its_cells_empty() -> None:
    row = table.cells(Result(ROWS[0], {Side.OURS: [run(Side.OURS, 4000)]}))
    assert row[table.HEAD.index("ours/s")] == "4,000"
    assert row[table.HEAD.index("x naive")] == row[table.HEAD.index("goal")] == ""


@pytest.mark.parametrize(("share", "word"), [(1.0, "sent"), (0.0, "none"), (0.5, "some"), (nan, "")])
def test_headers_are_as_the_broker_counted_them(share: float, word: str) -> None:
    row = table.cells(Result(ROWS[0], {Side.OURS: [run(Side.OURS, 4000, headers=share)]}))
    assert row[table.HEAD.index("headers")] == word


def test_a_void_run_of_the_ceiling_does_not_void_the_row() -> None:
    found = result()
    found.runs[Side.CEILING] = [replace(RUN, side=Side.CEILING, load_core=0.99)]
    assert found.void == []
    found.runs[Side.NAIVE][1] = replace(RUN, side=Side.NAIVE, load_core=0.99)
    assert found.void == ["naive: the load's core was 99% busy"]
    assert table.cells(found)[-1] == "VOID"


def latency() -> Latency:
    naive, ours = replace(RUN, side=Side.NAIVE, p99_ms=40.0), replace(RUN, p99_ms=3.0)
    return Latency(500, 3000, naive, ours, replace(RUN, side=Side.CEILING))


def test_latency_is_a_share_of_the_naive_services() -> None:
    assert latency().ratio == pytest.approx(0.075)
    assert "reached" in table.latency_lines(latency())[0]
    slower = replace(latency(), ours=replace(RUN, p99_ms=4.1))
    assert "missed" in table.latency_lines(slower)[0]


def test_an_accepted_run_is_written_with_its_command_and_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.results.go_version", lambda: "go1.26.0")
    file = tmp_path / "RESULTS.md"
    assert write([result()], latency(), together(), [], ["--write", "--rounds", "3"], file) == 0
    text = file.read_text("utf-8")
    assert "`python -m bench --write --rounds 3`" in text
    assert table.markdown([result()]) in text
    assert "all four at once" in text
    assert "librdkafka" in text
    assert "Python 3" in text


@pytest.mark.parametrize("what", ["failure", "void row", "void latency", "no latency", "void together", "no together"])
def test_a_run_that_is_not_accepted_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    file, found = tmp_path / "RESULTS.md", result()
    file.write_text("before", "utf-8")
    told: Latency | None = latency()
    if what == "void row":
        found.runs[Side.OURS][0] = replace(RUN, strangers=0.5)
    elif what == "void latency":
        told = replace(latency(), ours=replace(RUN, load_core=1.0))
    elif what == "no latency":
        told = None
    all_four: Together | None = together(all_strangers=0.5 if what == "void together" else 0.0)
    if what == "no together":
        all_four = None
    assert write([found], told, all_four, ["kafka: wrong"] if what == "failure" else [], [], file) == 1
    assert file.read_text("utf-8") == "before"
    assert "not accepted" in capsys.readouterr().err
