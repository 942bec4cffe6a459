"""Histograms: what is counted at once is counted as one by one."""

from hypothesis import given
from hypothesis import strategies as st

from service.telemetry.histogram import LANE_SECONDS, LANE_SECONDS_SHOWN, Histogram

BOUNDS = (1.0, 2.0, 5.0)
VALUES = st.lists(st.floats(0, 10) | st.sampled_from(BOUNDS), max_size=50)


@given(VALUES)
def test_sorted_values_are_counted_as_one_by_one(values: list[float]) -> None:
    one_by_one, at_once = Histogram(BOUNDS), Histogram(BOUNDS)
    for value in sorted(values):
        one_by_one.observe(value)
    at_once.observe_sorted(sorted(values))
    assert at_once.counts == one_by_one.counts
    assert abs(at_once.total - one_by_one.total) < 1e-6


@given(VALUES, st.floats(0.01, 1))
def test_a_quantile_is_the_bound_that_so_many_values_do_not_exceed(values: list[float], share: float) -> None:
    histogram = Histogram(BOUNDS)
    histogram.observe_sorted(sorted(values))
    found = histogram.quantile(share)
    assert (found is None) == (not values)
    if found is not None and found != BOUNDS[-1]:
        assert sum(value <= found for value in values) >= share * len(values)
        below = [bound for bound in BOUNDS if bound < found]
        assert not below or sum(value <= below[-1] for value in values) < share * len(values)


def test_what_came_since_an_earlier_copy_is_the_difference() -> None:
    histogram = Histogram(BOUNDS)
    histogram.observe(1.5)
    before = histogram.since(None)
    histogram.observe(3.0)
    since = histogram.since(before)
    assert since.counts == [0, 0, 1, 0]
    assert since.total == 3.0
    assert before.count == 1


def test_fewer_buckets_are_shown_and_hold_all_that_was_counted() -> None:
    histogram = Histogram(LANE_SECONDS)
    histogram.observe_sorted([0.0011, 0.0012, 0.002, 300.0])
    shown = dict(histogram.cumulated(LANE_SECONDS_SHOWN))
    assert shown["0.001"] == 0
    assert shown["0.0025"] == 3
    assert shown["+Inf"] == 4
    assert "0.002" not in shown
