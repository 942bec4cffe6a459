"""Times as numbers since 1970, which envelopes have, as RFC 3339, which CloudEvents has."""

from datetime import UTC, datetime
from typing import Any, Final

SECONDS: Final = 1
MILLISECONDS: Final = 1_000
MICROSECONDS: Final = 1_000_000
"""Ticks of a second."""

_END = 253_402_300_800
"""Seconds until the year 10000."""
_LEAST_MILLISECONDS = 10**11
_LEAST_MICROSECONDS = 10**14
"""1973 in the one unit is 5138 in the one before: a time between is meant in neither."""


def rfc3339(ticks: Any, per_second: int) -> str | None:
    """`2026-01-31T12:00:00.000Z`, as precise as the unit; None if `ticks` is no number of this era."""
    number = _number(ticks)
    if number is None:
        return None
    seconds, rest = divmod(number, per_second)
    if not 0 <= seconds < _END:
        return None
    fraction = f".{rest:0{len(str(per_second)) - 1}}" if per_second > 1 else ""
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}{fraction}Z"


def likely_unit(ticks: Any) -> int:
    """Ticks of a second in the unit of which `ticks` is a time between 1973 and 5138."""
    number = _number(ticks) or 0
    if number < _LEAST_MILLISECONDS:
        return SECONDS
    return MILLISECONDS if number < _LEAST_MICROSECONDS else MICROSECONDS


def _number(ticks: Any) -> int | None:
    """A number, of which a fraction is dropped; or the digits of one."""
    if type(ticks) is int or type(ticks) is float:
        return int(ticks)
    if isinstance(ticks, str) and ticks.isascii() and ticks.isdigit() and len(ticks) < 20:
        return int(ticks)
    return None
