"""What was counted between two moments, per second."""

from collections import defaultdict
from collections.abc import Mapping

from service.admin.interval import Interval, grown
from service.receipt import Fate


class Rates:
    """What was counted in an interval, per second. Keys are those of the meter, less the reasons."""

    def __init__(self, interval: Interval) -> None:
        now, before = interval.now, interval.before
        self._seconds = interval.seconds
        self.received = grown(now.edge_received, before.edge_received)
        """By (source, route)."""
        self.refused: dict[tuple[str, str], int] = defaultdict(int)
        for (source, route, _code), count in grown(now.edge_rejected, before.edge_rejected).items():
            self.refused[source, route] += count
        self.put = grown(now.lane_received, before.lane_received)
        """By (sink, route)."""
        self._settled = grown(now.lane_settled, before.lane_settled)
        self.retried: dict[tuple[str, str], int] = grown(now.lane_retries, before.lane_retries)
        """By (sink, reason)."""
        self.stored = _rate(sum(grown(now.journal_taken, before.journal_taken).values()) / self._seconds)
        """Events that came to the journal, per second."""
        self._bills = {
            sink: {name: count - before.bills.get(sink, {}).get(name, count) for name, count in bill.items()}
            for sink, bill in now.bills.items()
        }

    def of(self, counts: Mapping[tuple[str, str], int], first: str | None = None, second: str | None = None) -> float:
        """The rate of those whose key is so; None: whatever it is."""
        return _rate(
            sum(count for (one, other), count in counts.items() if first in (None, one) and second in (None, other))
            / self._seconds
        )

    def settled(self, sink: str, *fates: Fate, route: str | None = None) -> float:
        """Of a lane, what ended in one of these ways."""
        return _rate(
            sum(
                count
                for (where, whose, fate, _reason), count in self._settled.items()
                if where == sink and fate in fates and route in (None, whose)
            )
            / self._seconds
        )

    def billed(self, sink: str) -> dict[str, float]:
        """Units by the name of their counter."""
        return {name: _rate(max(count, 0) / self._seconds) for name, count in self._bills.get(sink, {}).items()}


def _rate(events: float) -> float:
    return round(events, 2)
