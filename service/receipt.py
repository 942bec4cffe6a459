"""The receipt a source awaits: one per request or poll, settled exactly once per (event, required lane)."""

from collections.abc import Callable, Iterable, Mapping, Sized
from enum import StrEnum

from msgspec import Struct

from service.outcome import Reason


class Fate(StrEnum):
    """How a lane's responsibility for an event ended. Closed: a metric label.

    In any one snapshot of a lane: received = the sum of these + held.
    """

    DELIVERED = "delivered"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """Given back to whoever still holds it: patience over, or shutdown."""
    DEAD_LETTERED = "dead_lettered"
    """The dead-letter sink acknowledged a copy."""
    DIVERTED = "diverted"
    """Handed to the fallback lane."""
    DROPPED = "dropped"
    """Best-effort lanes only."""


class Settlement(Struct, frozen=True, gc=False):
    """The end of one event at one lane."""

    fate: Fate
    reason: Reason | None = None
    detail: str = ""
    may_duplicate: bool = False
    """An attempt may have written the event although it was not acknowledged."""
    refused: bool = False
    """The sink said `Rejected`: no retry helps, whether or not a dead letter was written."""


class Receipt:
    """Counts down one settlement per (event, required lane) and then tells whoever waits.

    `lanes[i]` are the names of the required lanes of event i (events may belong to different routes).
    Only what was *not* delivered is kept. `settle` raises `RuntimeError` on a settlement too many.
    """

    __slots__ = ("_callbacks", "_failed", "_pending", "lanes")

    def __init__(self, lanes: Iterable[tuple[str, ...]] = ()) -> None:
        self.lanes = list(lanes)
        self._pending = sum(map(len, self.lanes))
        self._failed: dict[int, dict[str, Settlement]] = {}
        self._callbacks: list[Callable[[], object]] = []

    def expect(self, lanes: tuple[str, ...]) -> None:
        """One event more, with these required lanes."""
        self.lanes.append(lanes)
        self._pending += len(lanes)

    @property
    def done(self) -> bool:
        """True once every (event, required lane) is settled."""
        return self._pending == 0

    def settle(self, index: int, lane: str, settlement: Settlement) -> None:
        """Record the end of event `index` at `lane`; the last one calls the waiters."""
        if settlement.fate is not Fate.DELIVERED:
            failed = self._failed.setdefault(index, {})
            if lane in failed:
                raise RuntimeError(f"event {index} was settled twice by lane {lane!r}")
            failed[lane] = settlement
        self._count(1)

    def settle_delivered(self, entries: Sized) -> None:
        """Record so many deliveries at once."""
        self._count(len(entries))

    def _count(self, settled: int) -> None:
        if settled > self._pending:
            raise RuntimeError("a receipt was settled more often than it has (event, lane) pairs")
        self._pending -= settled
        if not self._pending:
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                callback()

    def on_done(self, callback: Callable[[], object]) -> None:
        """Call `callback` when everything is settled; at once if it is already."""
        if self.done:
            callback()
        else:
            self._callbacks.append(callback)

    def forget(self) -> None:
        """Call nobody any more."""
        self._callbacks.clear()

    @property
    def all_delivered(self) -> bool:
        """True if every event was delivered by every required lane."""
        return not self._pending and not self._failed

    def failures(self, index: int) -> Mapping[str, Settlement]:
        """What was settled otherwise than delivered for event `index`, by lane; empty if all is well."""
        return self._failed.get(index, {})
