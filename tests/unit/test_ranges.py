"""Ranges of integers: they say what a plain set says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.journal.ranges import Ranges
from service.journal.state import common

MOST = 40
SPANS = st.tuples(st.integers(1, MOST), st.integers(0, 8)).map(lambda each: (each[0], each[0] + each[1]))
SETS = st.lists(SPANS, max_size=12)


def members(spans: list[tuple[int, int]]) -> set[int]:
    """The same as a set."""
    return {number for first, last in spans for number in range(first, last + 1)}


def runs(numbers: set[int]) -> list[tuple[int, int]]:
    """The ranges of a set, which do not touch."""
    starts = sorted(each for each in numbers if each - 1 not in numbers)
    ends = sorted(each for each in numbers if each + 1 not in numbers)
    return list(zip(starts, ends, strict=True))


@given(SETS)
def test_they_hold_what_a_set_holds(spans: list[tuple[int, int]]) -> None:
    ranges, model = Ranges(spans), members(spans)
    assert list(ranges) == list(ranges.copy()) == runs(model)
    assert len(ranges) == len(runs(model))
    assert {each for each in range(MOST + 20) if each in ranges} == model
    assert ranges.last == max(model, default=0)
    assert ranges.first_missing() == next(each for each in range(1, MOST + 20) if each not in model)


@given(SETS, SPANS)
def test_what_is_within_and_counted_and_around(spans: list[tuple[int, int]], span: tuple[int, int]) -> None:
    ranges, model, (first, last) = Ranges(spans), members(spans), span
    assert ranges.within(first, last) == runs(model & set(range(first, last + 1)))
    assert ranges.count(last) == len([each for each in model if each <= last])
    if first in model:
        assert ranges.around(first) == next(each for each in runs(model) if each[0] <= first <= each[1])
    else:
        with pytest.raises(LookupError):
            ranges.around(first)


@given(SETS, SPANS)
def test_adding_tells_which_ranges_began_where_one_is_now(spans: list[tuple[int, int]], span: tuple[int, int]) -> None:
    ranges, before = Ranges(spans), runs(members(spans))
    swallowed = ranges.add(*span)
    now = ranges.around(span[0])
    assert swallowed == [first for first, last in before if now[0] <= first <= now[1]]
    assert list(ranges) == runs(members([*spans, span]))


@given(st.lists(SETS, min_size=1, max_size=4))
def test_what_is_common_is_the_intersection(sets: list[list[tuple[int, int]]]) -> None:
    assert list(common([Ranges(spans) for spans in sets])) == runs(set.intersection(*map(members, sets)))


def test_a_copy_is_another_one() -> None:
    ranges = Ranges([(1, 2)])
    ranges.copy().add(3, 4)
    assert list(ranges) == [(1, 2)]
    assert list(common([])) == []
