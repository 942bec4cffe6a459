"""The last 15 minutes, a point every 5 s: of each lane and of all together. Bounded, whatever happens."""

from array import array
from collections import deque
from math import nan
from typing import Final

from msgspec import Struct

from service.admin.interval import Interval, Tries
from service.admin.moment import Moment
from service.telemetry.histogram import Histogram

EVERY_SECONDS: Final = 5.0
POINTS: Final = 180
"""15 minutes."""
SERIES: Final = ("received", "delivered", "held", "oldest", "p99", "retried")
"""What a point says: three of them events per second, `held` events, `oldest` and `p99` seconds."""
TOTAL: Final = ""
"""The name under which the sum stands; no lane has it."""


class Point(Struct, frozen=True):
    """One moment of the past."""

    at: float
    """Seconds since the epoch."""
    rows: dict[str, "array[float]"]
    """By lane and TOTAL: a number for each of SERIES, NaN where none is known. 48 bytes and 80 of overhead."""


class Shown(Struct):
    """Points as the page gets them: one list for each series."""

    every: float
    at: list[float]
    lanes: dict[str, dict[str, list[float | None]]]


class History:
    """The points. `add` is to be called with each moment, or as often as there is one."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=POINTS)
        self._before: Moment | None = None

    def add(self, moment: Moment) -> bool:
        """Whether this moment made a point: EVERY_SECONDS have passed since the one before."""
        if self._before is None:
            self._before = moment
            return False
        # half a second less: moments come a second apart, a little sooner or later
        if moment.at - self._before.at < EVERY_SECONDS - 0.5:
            return False
        self._points.append(_point(Interval(self._before, moment)))
        self._before = moment
        return True

    def shown(self, last: int = POINTS) -> Shown:
        """The last so many points."""
        points = list(self._points)[-last:]
        names = dict.fromkeys(name for point in points for name in point.rows)
        return Shown(
            every=EVERY_SECONDS,
            at=[round(point.at, 1) for point in points],
            lanes={
                name: {series: [_value(point, name, place) for point in points] for place, series in enumerate(SERIES)}
                for name in names
            },
        )


def _value(point: Point, name: str, place: int) -> float | None:
    row = point.rows.get(name)
    if row is None or (value := row[place]) != value:
        return None
    return value


def _point(interval: Interval) -> Point:
    now, seconds = interval.now, interval.seconds
    tries = interval.tries()
    put: dict[str, int] = {}
    for (sink, _route), count in now.lane_received.items():
        put[sink] = put.get(sink, 0) + count - interval.before.lane_received.get((sink, _route), 0)
    rows: dict[str, array[float]] = {}
    all_tries, all_seconds = Tries(), None
    for sink, gauges in now.lanes.items():
        took = interval.delivery_seconds(sink)
        mine = tries[sink]
        rows[sink] = _row(
            max(put.get(sink, 0), 0) / seconds,
            mine.delivered / seconds,
            gauges.held_events,
            gauges.oldest_seconds,
            took,
            mine.retried / seconds,
        )
        all_tries.add(mine)
        all_seconds = _both(all_seconds, took)
    rows[TOTAL] = _row(
        max(_accepted(now) - _accepted(interval.before), 0) / seconds,
        all_tries.delivered / seconds,
        sum(gauges.held_events for gauges in now.lanes.values()),
        max((gauges.oldest_seconds for gauges in now.lanes.values()), default=0.0),
        all_seconds,
        all_tries.retried / seconds,
    )
    return Point(now.clock, rows)


def _row(
    received: float, delivered: float, held: int, oldest: float, took: Histogram | None, retried: float
) -> "array[float]":
    p99 = took.quantile(0.99) if took is not None else None
    values = (received, delivered, held, oldest, nan if p99 is None else p99, retried)
    return array("d", [float(f"{value:.4g}") for value in values])  # a line of 15 minutes shows no more digits


def _both(one: Histogram | None, other: Histogram | None) -> Histogram | None:
    if one is None or other is None:
        return other if one is None else one
    one.add(other)
    return one


def _accepted(moment: Moment) -> int:
    return sum(moment.edge_received.values()) - sum(moment.edge_rejected.values())
