"""What is wrong now: with which destination, source or disk, why, since when, and what to do next."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from time import time
from typing import Any, Final, Protocol

from service.delivery.lane import Lane
from service.delivery.pipeline import Stored
from service.delivery.remedies import JOURNAL_FAILING, JOURNAL_FULL, REMEDIES, SOURCE_FAILING
from service.delivery.standing import Standings
from service.outcome import Reason
from service.telemetry.meter import Meter
from service.telemetry.source import SourceGauges
from service.telemetry.standing import State

_REMEDIES: Final = {State.SLOW: REMEDIES[Reason.PATIENCE_OVER], State.FULL: REMEDIES[Reason.LANE_FULL]}
"""Where nothing is at the bottom of it but that too much comes."""

Trouble = dict[str, Any]
"""`sink`, `source` or `journal`, `state`, `reason`, `since` (RFC 3339), `do`: plain values, for they are sent."""


_Found = tuple[tuple[str, str], Trouble]
"""What it is about; what is told, but for `since`."""


class Receives(Protocol):
    """A source, as far as its health goes (`receiving.contract.Source`)."""

    @property
    def gauges(self) -> SourceGauges:
        """What it is like now."""


class Troubles:
    """Of one process. Only the event loop's thread calls it; once a second at least, so that `since` is true."""

    def __init__(self, meter: Meter) -> None:
        self.standings = Standings(meter)
        """Of the lanes, as of the last look."""
        self._since: dict[tuple[str, str, str], float] = {}
        """Unix time, by what it is about and its state: of what is wrong now but lanes, and of nothing else."""

    def look(
        self, lanes: Iterable[Lane], stored: Stored | None, sources: Mapping[str, Receives], now: float
    ) -> list[Trouble]:
        """All that is wrong now, at monotonic time `now`: the journal first."""
        lanes = list(lanes)
        self.standings.look(lanes, now)
        journal, others = self._begun(_of_journal(stored)), self._begun(_of_sources(sources))
        self._since = {key: began for key, (began, _) in (*journal.items(), *others.items())}
        told = [*journal.values(), *self._of_lanes(lanes), *others.values()]
        # what to do stands last, as it is read
        return [{**trouble, "since": rfc3339(began), "do": trouble["do"]} for began, trouble in told]

    def _begun(self, found: Iterable[_Found]) -> dict[tuple[str, str, str], tuple[float, Trouble]]:
        """Each with when it began, in Unix time."""
        keyed = {(kind, name, str(trouble["state"])): trouble for (kind, name), trouble in found}
        return {key: (self._since.get(key, time()), trouble) for key, trouble in keyed.items()}

    def _of_lanes(self, lanes: Iterable[Lane]) -> Iterator[tuple[float, Trouble]]:
        for lane in lanes:
            standing = self.standings.of(lane.name)
            if standing.state is State.HEALTHY:
                continue
            trouble: Trouble = {"sink": lane.name, "state": standing.state.value}
            if standing.reason is not None:
                trouble["reason"] = standing.reason
            if standing.state is State.SLOW:
                trouble["oldest_seconds"] = round(lane.oldest_age(), 3)
            reason = standing.reason
            trouble["do"] = REMEDIES[Reason(reason)] if reason is not None else _REMEDIES[standing.state]
            yield standing.since, trouble


def _of_journal(stored: Stored | None) -> Iterator[_Found]:
    if stored is None or (why := stored.trouble) is None:
        return
    state = stored.state
    full = state is not None and (state.used_bytes >= state.max_bytes or "min_free" in why)
    remedy = JOURNAL_FULL if full else JOURNAL_FAILING
    yield ("journal", ""), {"journal": why, "state": "full" if full else "failing", "do": remedy}


def _of_sources(sources: Mapping[str, Receives]) -> Iterator[_Found]:
    for name, source in sources.items():
        if (reason := source.gauges.trouble) is not None:
            trouble = {"source": name, "state": "failing", "reason": reason, "do": SOURCE_FAILING}
            yield ("source", name), trouble


def rfc3339(moment: float) -> str:
    """A Unix time, to the second, in UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
