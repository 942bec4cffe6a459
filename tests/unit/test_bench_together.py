"""All four destinations at once may cost what each costs alone, less what is done once."""

import pytest
from msgspec.structs import replace

from bench.contestants import Side
from bench.measure import Measured
from bench.together import ALL, ALONE, Together, lines
from tests.unit.test_bench_agreement import RUN


def runs(*microseconds: float) -> list[Measured]:
    return [replace(RUN, cpu_microseconds=each) for each in microseconds]


def together(all_costs: tuple[float, ...] = (160, 320), all_strangers: float = 0.0) -> Together:
    """Each alone 50 µs, in the second round twice as much; done once: 10 µs."""
    return Together(
        {name: runs(50, 100) for name in ALONE},
        [replace(run, strangers=all_strangers) for run in runs(*all_costs)],
        [replace(RUN, side=Side.CEILING, cpu_microseconds=2.0)],
        {"split": 1.0, "schema": 7.0, "kafka": 20.0, "kinesis": 10.0, "shard": 1.5, "firehose": 9.0, "sqs": 11.0},
    )


def test_what_is_done_once_is_the_edge_and_the_machinery_and_no_destination() -> None:
    assert together().once == 10


def test_the_bound_is_the_sum_less_what_three_of_four_would_do_again() -> None:
    assert together((170, 370)).ratio == pytest.approx(1.0)
    assert together((85, 370)).ratio == pytest.approx(0.75)  # the median of the rounds' ratios, 0.5 and 1


def test_the_goal_is_reached_at_the_bound_and_missed_above_it() -> None:
    assert "1.00 of each alone, summed, less what is done once (goal <= 1: reached)" in lines(together((169, 370)))[0]
    assert "missed" in lines(together((180, 380)))[0]


def test_a_disturbed_run_of_any_of_the_five_is_void_and_one_of_the_ceiling_is_not() -> None:
    found = together()
    found.ceiling = [replace(RUN, cpu_microseconds=2.0, load_core=1.0)]
    assert found.void == []
    found.alone["sqs"][0] = replace(RUN, load_core=0.95)
    assert found.void == ["together sqs: the load's core was 95% busy"]
    assert "  void: together sqs: the load's core was 95% busy" in lines(found)


def test_each_alone_does_the_same_work_as_all_at_once() -> None:
    assert tuple(ALONE) == ALL.to
    for name, row in ALONE.items():
        assert row.to == (name,)
        assert (row.events, row.schema, row.lines, row.gzip, row.settings) == (
            ALL.events, ALL.schema, ALL.lines, ALL.gzip, ALL.settings,
        )  # fmt: skip
