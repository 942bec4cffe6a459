"""What the bench of an idle service computes: what the service adds, and whether the goals are reached."""

import json
import struct
from pathlib import Path

import pytest

from bench import direct, rest
from bench.cores import pair
from bench.direct import Quantiles, quantile, requests
from bench.measure import Bench
from bench.program import Missing, compiled, stubs
from bench.rest import ROWS, Rest
from bench.rows import Row


def runs(*of_each: tuple[float, float]) -> list[Quantiles]:
    return [Quantiles(p50, p99) for p50, p99 in of_each]


def found() -> Rest:
    return Rest(ROWS[0], runs((1, 2), (2, 9), (1, 2)), runs((1.5, 5), (2.9, 11), (4, 4)), runs((0.1, 0.2)))


def test_what_is_added_is_the_median_of_the_rounds_differences() -> None:
    assert found().added_p50_ms == pytest.approx(0.9)  # of 0.5, 0.9 and 3; the medians differ by 1.9
    assert found().added_p99_ms == 2


@pytest.mark.parametrize(("ours", "reached"), [((2.0, 5.0), True), ((2.01, 5.0), False), ((2.0, 5.01), False)], ids=str)
def test_a_goal_is_reached_by_both_quantiles_or_not_at_all(ours: tuple[float, float], reached: bool) -> None:
    each = Rest(ROWS[0], runs((1.0, 2.0)), runs(ours), runs((0.1, 0.2)))
    assert each.reached is reached
    assert rest.cells(each)[-1] == ("reached" if reached else "missed")


def test_a_destination_that_failed_has_no_figures_and_a_disturbed_one_is_void() -> None:
    assert rest.cells(Rest(ROWS[1], failure="it ended\n| log"))[-1] == "FAILED: it ended"
    each = found()
    each.ours[1] = Quantiles(2.9, 11, ["others took 9% of the service's core"])
    assert each.void == ["kafka: others took 9% of the service's core"]
    assert rest.cells(each)[-1] == "reached VOID"
    assert len(rest.cells(each)) == len(rest.HEAD)


def test_nothing_waits_to_be_filled() -> None:
    for row in ROWS:
        (sink,) = row.configuration("127.0.0.1:9092", "http://127.0.0.1:1")["sinks"].values()
        assert sink["linger"] == 0


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (0.991, 100), (0.001, 1)])
def test_a_quantile_is_the_smallest_value_that_the_share_does_not_exceed(share: float, value: float) -> None:
    assert quantile([float(each) for each in range(100, 0, -1)], share) == value


@pytest.mark.parametrize("destination", ["kinesis", "firehose", "sqs"])
def test_a_destination_is_asked_with_one_event_a_call(destination: str) -> None:
    framed = requests(destination, "http://127.0.0.1:1")
    (size,) = struct.unpack(">I", framed[:4])
    call = json.loads(framed[4 : 4 + size].partition(b"\r\n\r\n")[2])
    assert len(call.get("Records") or call["Entries"]) == 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_destination_asked_directly_has_taken_what_was_sent(row: Row, tmp_path: Path) -> None:
    try:
        program, cores = compiled(), pair()
    except (Missing, LookupError) as missing:
        pytest.skip(f"without the bench: {missing}")
    with stubs(program, tmp_path) as running:
        bench = Bench(program, running, *cores)
        told = direct.latency(bench, row, tmp_path, connections=2, seconds=0.2, rate=50)
        assert running.counts().of(row.name).events == (11 if row.name == "kafka" else 10)
    assert 0 < told.p50_ms <= told.p99_ms
