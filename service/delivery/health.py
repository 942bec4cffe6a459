"""Whether this replica lives, should get requests, and what is wrong with it and its destinations."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from time import monotonic
from typing import Any, Final

from service.delivery.lane import Lane
from service.delivery.pipeline import Stored
from service.delivery.remedies import LOOP_STUCK
from service.delivery.troubles import Receives, Trouble, Troubles, rfc3339
from service.outcome import Reason
from service.telemetry.histogram import Histogram
from service.telemetry.lag import Lag, LoopGauges
from service.telemetry.meter import Meter
from service.telemetry.minute import Minute
from service.telemetry.standing import Standing, State

LOOK_SECONDS: Final = 1.0


class Phase(StrEnum):
    """Where the process is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Health:
    """The answers of `/livez` and `/readyz`. `strict`: a stuck destination makes this replica not ready."""

    def __init__(self, strict: bool = False, meter: Meter | None = None) -> None:
        meter = meter or Meter()
        self.phase = Phase.STARTING
        self.lanes: Mapping[str, Lane] = {}
        self.stored: Stored | None = None
        self.sources: Mapping[str, Receives] = {}
        self._strict = strict
        self._troubles = Troubles(meter)
        self._lag = Lag(meter)
        self._minute = Minute(meter)
        self._looked_at = 0.0

    def beat(self, lag: float) -> None:
        """The loop has answered its watchdog after so many seconds. Looks around once a second."""
        now = monotonic()
        self._lag.note(lag, now)
        if now >= self._looked_at + LOOK_SECONDS:
            self._looked_at = now
            self._minute.look(now)
            self.troubles()

    def livez(self) -> tuple[int, dict[str, Any]]:
        """200 as long as the event loop can answer at all. Never depends on a sink."""
        return 200, {"status": "alive"}

    def readyz(self) -> tuple[int, dict[str, Any]]:
        """503 for trouble that another replica would not share; `degraded`, with reasons, for the rest."""
        if self.phase is not Phase.SERVING:
            return 503, {"status": self.phase.value}
        return verdict(self.troubles(), self._strict)

    def troubles(self) -> list[Trouble]:
        """What is wrong with which destination, in words for whoever is woken at night."""
        found = self._troubles.look(self.lanes.values(), self.stored, self.sources, monotonic())
        loop = self._lag.gauges
        if loop.stuck_since is not None:
            lag = f"nothing was answered for {loop.worst_seconds:.1f} s"
            found.insert(0, {"loop": lag, "state": "stuck", "since": rfc3339(loop.stuck_since), "do": LOOP_STUCK})
        return found

    def standing(self, sink: str) -> Standing:
        """How a lane stands, as of the last look."""
        return self._troubles.standings.of(sink)

    @property
    def loop(self) -> LoopGauges:
        """What the event loop is like."""
        return self._lag.gauges

    @property
    def recent(self) -> dict[str, Histogram]:
        """Delivery times of the last minute, by sink."""
        return self._minute.lanes()


def verdict(troubles: Sequence[Mapping[str, Any]], strict: bool) -> tuple[int, dict[str, Any]]:
    """The answer of `/readyz` of what serves. A journal that cannot be used is trouble of this replica alone, and so is
    an event loop that was stuck. One that is throttled is not stuck."""
    if not troubles:
        return 200, {"status": "ready"}
    if any("loop" in trouble for trouble in troubles):
        return 503, {"status": "loop_stuck", "reasons": troubles}
    if any("journal" in trouble for trouble in troubles):
        return 503, {"status": "journal", "reasons": troubles}
    stuck = any(trouble["state"] != "throttled" and not _gives_nothing_but_throttling(trouble) for trouble in troubles)
    return (503 if strict and stuck else 200), {"status": "degraded", "reasons": troubles}


def _gives_nothing_but_throttling(trouble: Mapping[str, Any]) -> bool:
    return trouble["state"] == State.OPEN and trouble.get("reason") == Reason.THROTTLED
