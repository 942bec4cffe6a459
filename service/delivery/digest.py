"""A call's outcomes, sorted by what the lane has to do with each event."""

from collections.abc import Sequence

from service.delivery.entry import Entry
from service.outcome import DELIVERED, Delivered, Outcome, Reason, Rejected, Retry


class Digest:
    """What became of the entries of one call."""

    __slots__ = ("delivered", "failed", "refused", "throttled", "unplaced")

    def __init__(self, batch: Sequence[Entry], outcomes: Sequence[Outcome], partitioned: bool) -> None:
        """`partitioned`: being throttled is about an event's partition, not about the destination."""
        self.delivered: list[Entry] = []
        self.refused: list[tuple[Entry, Rejected]] = []
        self.failed: list[tuple[Entry, Retry]] = []
        """To be tried again after a back-off."""
        self.throttled: list[tuple[Entry, Retry]] = []
        """To be tried again when their partition opens."""
        self.unplaced: list[Entry] = []
        """To be tried again at once: a packing sink had no room for them."""
        if outcomes.count(DELIVERED) == len(outcomes) == len(batch):
            # as it should be, and mostly is
            self.delivered.extend(batch)
            return
        for entry, outcome in zip(batch, outcomes, strict=True):
            match outcome:
                case Delivered():
                    self.delivered.append(entry)
                case Retry(reason=Reason.NO_ROOM) if len(batch) > 1:
                    self.unplaced.append(entry)
                case Retry(reason=Reason.THROTTLED) if partitioned:
                    self.throttled.append((entry, outcome))
                case Retry():
                    self.failed.append((entry, outcome))
                case Rejected() if entry.terms.last_resort:
                    self.failed.append((entry, Retry(outcome.reason, detail=outcome.detail)))
                case Rejected():
                    self.refused.append((entry, outcome))
                case _:
                    # Not an Outcome: the types forbid it, but a sink may be somebody else's.
                    nonsense = Retry(Reason.BAD_ANSWER, detail=f"a {type(outcome).__name__}")
                    self.failed.append((entry, nonsense))
        if len(self.unplaced) == len(batch):
            # A sink that places nothing would be called for ever: that is a failure after all.
            self.failed, self.unplaced = [(entry, Retry(Reason.NO_ROOM)) for entry in batch], []

    @property
    def left(self) -> list[Entry]:
        """What has to be tried again, in whatever way."""
        return [*self.unplaced, *(entry for entry, _ in (*self.failed, *self.throttled))]

    @property
    def result(self) -> str:
        """`delivered`, or the reason of the first failure, or of the first refusal if nothing else came of the call: a
        metric label."""
        bad = self.failed or self.throttled or ([] if self.delivered or self.unplaced else self.refused)
        return bad[0][1].reason.value if bad else "delivered"
