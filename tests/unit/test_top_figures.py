"""Figures of `penstock top`: short, and not wrong by more than they show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.top import figures


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (999.6, "1.0k"),
        (12_345, "12.3k"),
        (123_456, "123k"),
        (35e6, "35.0M"),
        (10**15, "1000T"),
    ],
)
def test_counts(value: float | None, shown: str) -> None:
    assert figures.count(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(None, "-"), (0.0, "0"), (0.44, "0.4"), (9.96, "10"), (1500, "1.5k")])
def test_rates(value: float | None, shown: str) -> None:
    assert figures.rate(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0.0, "0"),
        (0.000_02, "0.1ms"),
        (0.0031, "3.1ms"),
        (0.031, "31ms"),
        (0.9996, "1.0s"),
        (4.24, "4.2s"),
        (12.4, "12s"),
        (59.6, "1m"),
        (1140, "19m"),
        (3599, "1h"),
        (18_000, "5h"),
        (300_000, "3d"),
    ],
)
def test_seconds(value: float | None, shown: str) -> None:
    assert figures.seconds(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(0, "0B"), (900, "900B"), (2**26, "64Mi"), (10 * 2**30, "10Gi")])
def test_sizes(value: int, shown: str) -> None:
    assert figures.size(value) == shown


@given(st.floats(0, 1e14))
def test_no_figure_is_wider_than_its_column(value: float) -> None:
    for shown in (figures.count(value), figures.rate(value), figures.size(value)):
        assert len(shown) <= 6
    assert len(figures.seconds(min(value, 1e9))) <= 6
