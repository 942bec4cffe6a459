"""What is wrong now: with which destination, source or disk, why, since when, and what to do next."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from time import time
from typing import Any, Final, Protocol

from service.delivery.lane import Lane
from service.delivery.pipeline import Stored
from service.delivery.remedies import JOURNAL_FAILING, JOURNAL_FULL, REMEDIES, SOURCE_FAILING
from service.delivery.throttling import Throttling
from service.outcome import Reason
from service.telemetry.meter import Meter
from service.telemetry.source import SourceGauges

FULL_PART: Final = 10
"""A lane with less room than this part of its memory is full: a tenth."""
_SAME_SECONDS: Final = 2.0
"""Two times at which a trouble is said to have begun that differ by less are one."""

Trouble = dict[str, Any]
"""`sink`, `source` or `journal`, `state`, `reason`, `since` (RFC 3339), `do`: plain values, for they are sent."""


_Found = tuple[tuple[str, str], Trouble, float | None]
"""What it is about; what is told; when it began, in Unix time, where that is known."""


class Receives(Protocol):
    """A source, as far as its health goes (`receiving.contract.Source`)."""

    @property
    def gauges(self) -> SourceGauges:
        """What it is like now."""


class Troubles:
    """Of one process. Only the event loop's thread calls it; once a second at least, so that `since` is true."""

    def __init__(self, meter: Meter) -> None:
        self._throttling = Throttling(meter)
        self._since: dict[tuple[str, str, str], float] = {}
        """Unix time, by what it is about and its state: of what is wrong now, and nothing else."""

    def look(
        self, lanes: Iterable[Lane], stored: Stored | None, sources: Mapping[str, Receives], now: float
    ) -> list[Trouble]:
        """All that is wrong now, at monotonic time `now`: the journal first."""
        self._throttling.look(now)
        found = [*_of_journal(stored), *self._of_lanes(lanes), *_of_sources(sources)]
        since: dict[tuple[str, str, str], float] = {}
        for (kind, name), trouble, began in found:
            key = kind, name, trouble["state"]
            before = self._since.get(key)
            if began is None or (before is not None and abs(before - began) < _SAME_SECONDS):
                began = before if before is not None else time()
            since[key] = began
            trouble["since"] = rfc3339(began)
            trouble["do"] = trouble.pop("do")  # last, as it is read
        self._since = since
        return [trouble for _, trouble, _ in found]

    def _of_lanes(self, lanes: Iterable[Lane]) -> Iterator[_Found]:
        for lane in lanes:
            if (found := self._of_lane(lane)) is not None:
                trouble, began = found
                yield ("sink", lane.name), {"sink": lane.name, **trouble}, began

    def _of_lane(self, lane: Lane) -> tuple[Trouble, float | None] | None:
        breaker = lane.breaker
        if breaker.failures and breaker.reason is not None:
            began = time() - (asyncio.get_running_loop().time() - breaker.since)
            state = "throttled" if breaker.reason is Reason.THROTTLED else "failing"
            return _because(state, breaker.reason), began
        throttled = self._throttling.holds(lane.name)
        if (oldest := lane.oldest_age()) > lane.settings.slow_seconds:
            reason = Reason.THROTTLED if throttled else Reason.PATIENCE_OVER
            trouble = _because("slow", reason) if throttled else {"state": "slow", "do": REMEDIES[reason]}
            return {**trouble, "oldest_seconds": round(oldest, 3)}, None
        if not lane.has_room(lane.capacity // FULL_PART):
            if throttled:
                return _because("full", Reason.THROTTLED), None
            return {"state": "full", "do": REMEDIES[Reason.LANE_FULL]}, None
        return (_because("throttled", Reason.THROTTLED), None) if throttled else None


def _of_journal(stored: Stored | None) -> Iterator[_Found]:
    if stored is None or (why := stored.trouble) is None:
        return
    state = stored.state
    full = state is not None and (state.used_bytes >= state.max_bytes or "min_free" in why)
    remedy = JOURNAL_FULL if full else JOURNAL_FAILING
    yield ("journal", ""), {"journal": why, "state": "full" if full else "failing", "do": remedy}, None


def _of_sources(sources: Mapping[str, Receives]) -> Iterator[_Found]:
    for name, source in sources.items():
        if (reason := source.gauges.trouble) is not None:
            trouble = {"source": name, "state": "failing", "reason": reason, "do": SOURCE_FAILING}
            yield ("source", name), trouble, None


def rfc3339(moment: float) -> str:
    """A Unix time, to the second, in UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _because(state: str, reason: Reason) -> Trouble:
    return {"state": state, "reason": reason.value, "do": REMEDIES[reason]}
