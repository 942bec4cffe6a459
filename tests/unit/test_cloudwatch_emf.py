"""Lines of the embedded metric format: within its specification, and what they keep of a spread."""

import asyncio
import os
from collections import Counter
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cloudwatch import emf
from service.cloudwatch.datum import Datum, difference
from service.cloudwatch.emf import LINE_BYTES, Emf
from service.cloudwatch.names import BY_NAME, METRICS, By, Kind
from service.cloudwatch.totals import read
from service.cloudwatch.way import Packed, Unsent
from service.config.cloudwatch import CloudWatchConfig
from service.errors import ConfigError
from service.output import Output
from service.telemetry.histogram import LANE_SECONDS
from tests.unit.counted import MOMENT, everywhere
from tests.unit.emf import metrics_of

BOUNDS = [round(bound * 1000, 3) for bound in LANE_SECONDS]


def packer(**settings: Any) -> Emf:
    return Emf(CloudWatchConfig(mode="emf", **settings), Output(1))


def lines_of(packed: list[Packed]) -> list[bytes]:
    return [line for each in packed for line in each.body.splitlines(keepends=True)]


def spread(counts: list[int], of: str = "lake") -> Datum:
    found = {value: count for value, count in zip(BOUNDS, counts, strict=False) if count}
    return Datum(BY_NAME["RequestTime"], of, tuple(found), tuple(found.values()))


def values_of(datum: Datum) -> list[float]:
    [line] = lines_of(packer().packed([datum], MOMENT))
    [(_, values)] = metrics_of(line).values()
    return values


def test_a_flush_of_everything_is_as_specified() -> None:
    data = difference(read(everywhere(), MOMENT))
    [packed] = packer(service="shop", dimensions={"Environment": "test"}, namespace="Acme").packed(data, MOMENT)
    told = Counter[str]()
    for line in lines_of([packed]):
        assert b'"Timestamp":1764000000700' in line
        assert b'"Namespace":"Acme"' in line
        for (name, dimensions), (unit, _) in metrics_of(line).items():
            told[name] += 1
            by = BY_NAME[name].by
            assert unit == BY_NAME[name].unit
            assert dimensions[:2] == (("Service", "shop"), ("Environment", "test"))
            assert [key for key, _ in dimensions[2:]] == ([by.value] if by is not By.SERVICE else [])
    assert told == Counter(datum.metric.name for datum in data)
    assert packed.datums == len(data)
    assert told.keys() == BY_NAME.keys()


@given(
    st.lists(st.tuples(st.sampled_from(METRICS), st.integers(0, 20)), unique=True, max_size=150),
    st.booleans(),
    st.integers(0, 10),
)
def test_lines_are_short_and_lose_nothing(chosen: list[tuple[Any, int]], high: bool, more: int) -> None:
    data = []
    for metric, index in chosen:
        of = "" if metric.by is By.SERVICE else f"name_{index}"
        if metric.kind is Kind.SPREAD:
            data.append(Datum(metric, of, tuple(BOUNDS), (1000,) * len(BOUNDS)))
        elif of or index == 0:
            data.append(Datum(metric, of, (index,), (1,)))
    dimensions = {f"Dimension{index}": "x" * 1000 for index in range(more)}
    found = Counter[tuple[str, str]]()
    for line in lines_of(packer(high_resolution=high, dimensions=dimensions).packed(data, MOMENT)):
        assert len(line) <= LINE_BYTES
        assert (b'"StorageResolution":1}' in line) is high
        found.update((name, dict(found).get(BY_NAME[name].by.value, "")) for name, found in metrics_of(line))
    assert found == Counter((datum.metric.name, datum.of) for datum in data)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=len(BOUNDS)))
def test_up_to_a_hundred_measurements_are_told_one_by_one(counts: list[int]) -> None:
    counts[-1] += 1
    if sum(counts) <= 100:
        expected = [value for value, count in zip(BOUNDS, counts, strict=False) for _ in range(count)]
        assert values_of(spread(counts)) == expected


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=len(BOUNDS)))
def test_of_more_than_that_each_percentile_is_told(counts: list[int]) -> None:
    counts[0] += 101
    told = values_of(spread(counts))
    total = sum(counts)
    assert len(told) == 100
    for percent in range(1, 101):
        rank, seen = ceil(total * percent / 100), 0
        for value, count in zip(BOUNDS, counts, strict=False):
            seen += count
            if seen >= rank:
                assert told[percent - 1] == value, f"p{percent}"
                break


def test_a_line_ends_where_log_drivers_cut() -> None:
    spreads = [metric for metric in METRICS if metric.by is By.SINK and metric.kind is Kind.SPREAD]
    long = tuple(1.0 + value / 1_000_001 for value in range(100))
    data = [Datum(metric, "lake", long, (1000,) * len(long)) for metric in spreads]
    dimensions = {f"D{index}": "x" * 1024 for index in range(10)}
    lines = lines_of(packer(dimensions=dimensions).packed(data, MOMENT))
    assert max(map(len, lines)) <= LINE_BYTES
    assert len(data) > len(lines) > 1, "as few as can be"


def test_a_dimension_with_the_name_of_a_metric_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"cloudwatch\.dimensions: AllErrors is the name of a metric"):
        packer(dimensions={"AllErrors": "x"})


def test_nothing_is_written_of_nothing() -> None:
    assert packer().packed([], MOMENT) == []


async def test_a_flush_arrives_as_it_is_also_if_it_is_longer_than_a_pipe() -> None:
    reading, writing = os.pipe()
    body = b"".join(b"%d %b\n" % (number, b"x" * 7000) for number in range(50))
    async with emf.opened(CloudWatchConfig(mode="emf"), writing) as way:
        sending = asyncio.create_task(way.send(Packed(body, 50)))
        found = b""
        while len(found) < len(body):
            found += await asyncio.to_thread(os.read, reading, 65536)
        await sending
    assert found == body
    os.close(reading)
    os.close(writing)


async def test_lines_that_arrived_in_part_are_not_written_again() -> None:
    reading, writing = os.pipe()
    async with emf.opened(CloudWatchConfig(mode="emf"), writing) as way:
        os.close(reading)
        with pytest.raises(Unsent) as nothing:
            await way.send(Packed(b"a\n", 1))
        assert not nothing.value.hopeless
        reading, other = os.pipe()
        os.dup2(other, writing)
        os.close(other)
        sending = asyncio.create_task(way.send(Packed(b"line\n" * 40_000, 1)))
        await asyncio.to_thread(os.read, reading, 1)
        os.close(reading)
        with pytest.raises(Unsent) as some:
            await sending
        assert some.value.hopeless
    os.close(writing)
