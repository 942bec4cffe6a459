"""Whether this replica lives, should get requests, and what is wrong with its destinations."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

from service.delivery.lane import Lane
from service.delivery.pipeline import Stored
from service.telemetry.source import SourceGauges


class Phase(StrEnum):
    """Where the process is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Receives(Protocol):
    """A source, as far as its health goes (`receiving.contract.Source`)."""

    @property
    def gauges(self) -> SourceGauges:
        """What it is like now."""


class Health:
    """The answers of `/livez` and `/readyz`. `strict`: a stuck destination makes this replica not ready."""

    def __init__(self, strict: bool = False) -> None:
        self.phase = Phase.STARTING
        self.lanes: Mapping[str, Lane] = {}
        self.stored: Stored | None = None
        self.sources: Mapping[str, Receives] = {}
        self._strict = strict

    def livez(self) -> tuple[int, dict[str, Any]]:
        """200 as long as the event loop can answer at all. Never depends on a sink."""
        return 200, {"status": "alive"}

    def readyz(self) -> tuple[int, dict[str, Any]]:
        """503 for trouble that another replica would not share; `degraded`, with reasons, for the rest."""
        if self.phase is not Phase.SERVING:
            return 503, {"status": self.phase.value}
        return verdict(self.troubles(), self._strict)

    def troubles(self) -> list[dict[str, Any]]:
        """What is wrong with which destination, in words for whoever is woken at night."""
        troubles = [trouble for lane in self.lanes.values() if (trouble := _trouble(lane)) is not None]
        if self.stored is not None and self.stored.trouble is not None:
            troubles.insert(0, {"journal": self.stored.trouble})
        for name, source in self.sources.items():
            if (reason := source.gauges.trouble) is not None:
                troubles.append({"source": name, "state": "failing", "reason": reason})
        return troubles


def verdict(troubles: Sequence[Mapping[str, Any]], strict: bool) -> tuple[int, dict[str, Any]]:
    """The answer of `/readyz` of what serves. A journal that cannot be used is trouble of this replica alone."""
    if not troubles:
        return 200, {"status": "ready"}
    if any("journal" in trouble for trouble in troubles):
        return 503, {"status": "journal", "reasons": troubles}
    return (503 if strict else 200), {"status": "degraded", "reasons": troubles}


def _trouble(lane: Lane) -> dict[str, Any] | None:
    if lane.breaker.failures and lane.breaker.reason is not None:
        return {"sink": lane.name, "state": "failing", "reason": lane.breaker.reason.value}
    if lane.oldest_age() > lane.settings.patience / 2:
        return {"sink": lane.name, "state": "slow", "oldest_seconds": round(lane.oldest_age(), 3)}
    if not lane.has_room(lane.capacity // 10):
        return {"sink": lane.name, "state": "full"}
    return None
