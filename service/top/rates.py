"""What happens a second: the differences of counters between two answers of `/status`."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Rates(Struct, frozen=True):
    """Of one lane or source, in events a second; None where that is not known."""

    received: float | None = None
    delivered: float | None = None
    retried: float | None = None
    refused: float | None = None


UNKNOWN = Rates()


def rates(now: Mapping[str, Any], before: Mapping[str, Any] | None, seconds: float) -> Rates:
    """Of the part of a status that was `before` so many seconds ago. Unknown once its counters began anew."""
    if before is None or seconds <= 0:
        return UNKNOWN
    found = {
        name: _rate(_count(now, name), _count(before, name), seconds)
        for name in ("received", "delivered", "retried", "refused")
    }
    return Rates(**found)


def _count(part: Mapping[str, Any], name: str) -> int | None:
    if name == "delivered":
        settled = part.get("settled")
        # a fate of which nothing was counted yet is not there
        return settled.get("delivered", 0) if isinstance(settled, dict) else None
    return part.get(name)


def _rate(now: int | None, before: int | None, seconds: float) -> float | None:
    if now is None or before is None or now < before:
        return None
    return (now - before) / seconds
