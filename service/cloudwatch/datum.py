"""What one flush tells CloudWatch: the difference of two moments, as values and how often each was there."""

from msgspec import Struct

from service.cloudwatch.names import BY_NAME, Named
from service.cloudwatch.totals import Series, Totals
from service.telemetry.histogram import Histogram

_MILLISECONDS = 1000.0


class Datum(Struct, frozen=True):
    """One metric of one interval. A count or a level is one value, which was there once."""

    metric: Named
    of: str
    """The value of its dimension beside `Service`; empty where it has none."""
    values: tuple[float, ...]
    """In the metric's unit, ascending, each another one; those of a histogram are the upper bounds of its buckets."""
    counts: tuple[int, ...]
    """How often each of them was there; none is 0."""


def difference(now: Totals, before: Totals | None = None) -> list[Datum]:
    """All that `now` adds to `before`, an earlier moment of the same service (None: its start).

    A count comes from the first time that it is not 0, and then always; a spread only if anything was measured.
    """
    data: list[Datum] = []
    for series, total in now.counts.items():
        if total:
            data.append(_single(series, total - (before.counts.get(series, 0) if before else 0)))
    for series, histogram in now.spreads.items():
        spread = _spread(series, histogram.since(before.spreads.get(series) if before else None))
        if spread is not None:
            data.append(spread)
    for sink, total in now.packed.items():
        put = ("KinesisRecordsPut", sink)
        records = now.counts[put] - (before.counts.get(put, 0) if before else 0)
        if records:
            events = total - (before.packed.get(sink, 0) if before else 0)
            data.append(_single(("UserRecordsPerKinesisRecord", sink), events / records))
    data += [_single(series, level) for series, level in now.levels.items()]
    return data


def _single(series: Series, value: float) -> Datum:
    name, of = series
    return Datum(BY_NAME[name], of, (value,), (1,))


def _spread(series: Series, histogram: Histogram) -> Datum | None:
    """None if nothing was measured. What is above the last bound is told as that bound."""
    name, of = series
    metric = BY_NAME[name]
    factor = _MILLISECONDS if metric.unit == "Milliseconds" else 1.0
    found: dict[float, int] = {}
    for bound, count in zip((*histogram.bounds, histogram.bounds[-1]), histogram.counts, strict=True):
        if count > 0:
            value = round(bound * factor, 3)
            found[value] = found.get(value, 0) + count
    return Datum(metric, of, tuple(found), tuple(found.values())) if found else None
