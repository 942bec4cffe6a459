"""The last event of each bad end. Never a payload; words that may quote an event only where that is allowed."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from service.outcome import Reason
from service.telemetry.meter import REFUSED, Last

MOST: Final = 50
"""Ends that are shown, the latest first."""


class End(Struct):
    """The last event that ended so."""

    at: float
    where: str
    route: str
    outcome: str
    reason: str
    id: str
    detail: str | None
    """None where it may quote the event, and is not allowed to."""


def last_ends(last: Mapping[tuple[str, str, str, str], Last], details: bool, most: int = MOST) -> list[End]:
    """The latest bad ends, one for each way to end, the latest first."""
    found = [
        End(
            each.at,
            where,
            route,
            outcome,
            reason,
            each.id,
            each.detail if details or _is_ours(outcome, reason) else None,
        )
        for (where, route, outcome, reason), each in last.items()
    ]
    return sorted(found, key=lambda end: end.at, reverse=True)[:most]


def _is_ours(outcome: str, reason: str) -> bool:
    """Whether the words are a destination's or the lane's own. A schema's quote what is wrong with an event."""
    return outcome != REFUSED and reason != Reason.INVALID.value
