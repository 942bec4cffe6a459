"""All workers as one: what the admin port shows of them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from service.admin.subject import Answer
from service.config import Config
from service.delivery.health import Phase, verdict
from service.delivery.remedies import WORKER_AWAY
from service.delivery.troubles import Trouble, rfc3339
from service.outcome import Reason
from service.receipt import Fate
from service.telemetry.meter import Meter
from service.telemetry.snapshot import Snapshot, summed
from service.workers.seat import Seat

ANSWER_SECONDS: Final = 0.5
"""How long a scrape waits for a worker; then its last report must do, which is a second old unless the worker hangs."""


class Crew:
    """The seats, and what their workers are like together."""

    def __init__(self, config: Config, seats: Sequence[Seat]) -> None:
        self.phase = Phase.STARTING
        self.meter = Meter()
        """The supervisor's own: the connections of the admin port."""
        self.lag: Callable[[float], None] = self.meter.loop_lag_seconds.observe
        """Told of each answer of the supervisor's own event loop."""
        self._config = config
        self._seats = seats

    async def snapshot(self) -> Snapshot:
        """The sum of all workers, those that are gone included, each as it is now or was last heard of."""
        await asyncio.gather(*(seat.refresh(ANSWER_SECONDS) for seat in self._seats))
        return self.known()

    def known(self) -> Snapshot:
        """The same from what was last heard."""
        parts = [Snapshot("", self.meter, [], {}, [])]
        for seat in self._seats:
            parts.append(seat.ended)
            if seat.snapshot is not None:
                parts.append(seat.snapshot)
        result = summed(self.phase.value, parts)
        result.troubles = [*self._away(), *self._troubles()]
        return result

    def _away(self) -> list[Trouble]:
        """The workers that do not serve; none before all have, nor in the drain."""
        if self.phase is not Phase.SERVING:
            return []
        return [
            {"worker": seat.number, "state": seat.state, "since": rfc3339(seat.away_since), "do": WORKER_AWAY}
            for seat in self._seats
            if seat.state != Phase.SERVING.value
        ]

    def _troubles(self) -> list[Trouble]:
        return [
            {"worker": seat.number, **trouble}
            for seat in self._seats
            if seat.snapshot is not None
            for trouble in seat.snapshot.troubles
        ]

    def livez(self) -> Answer:
        """503 if the loop of a worker is stuck, as a single process would not answer then."""
        stuck = [seat.number for seat in self._seats if seat.stuck]
        return (503, {"status": "stuck", "workers": stuck}) if stuck else (200, {"status": "alive"})

    def readyz(self) -> Answer:
        """503 unless every worker serves; else as of one process."""
        if self.phase is not Phase.SERVING:
            return 503, {"status": self.phase.value}
        troubles = self._troubles()
        if away := self._away():
            return 503, {"status": "short_of_workers", "reasons": [*away, *troubles]}
        return verdict(troubles, self._config.server.readiness == "strict")

    def workers(self) -> list[dict[str, Any]]:
        """Each of them."""
        return [seat.shown() for seat in self._seats]


def loss(config: Config, sink: str, route: str) -> tuple[str, str]:
    """Fate and reason of what a worker held for `sink` of `route` when it died.

    What a required sink was owed its producer still has, for it has had no answer; what was stored, the journal. The
    rest is lost.
    """
    if config.routes[route].ack == "stored":
        return Fate.EXPIRED.value, Reason.WORKER_LOST.value
    required = {to.sink for to in config.routes[route].to if to.required}
    kept = required | {config.sinks[each].fallback for each in required}
    return (Fate.EXPIRED if sink in kept else Fate.DROPPED).value, Reason.WORKER_LOST.value
