"""What waits in one partition and was never tried: each sender's in the order of its coming, the senders in turns.

So what one sends much of delays another one's by one event for each of its own, and not by all that came before. What
sources and the journal have too is one sender's: nobody's.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from math import inf

from service.delivery.entry import Entry


def sender(entry: Entry) -> str:
    """Whose share of a lane an entry takes; nobody's (empty), if nobody waits for it."""
    return "" if entry.terms.patient else entry.event.origin.sender


class Senders:
    """The waiting entries of one partition. One sender alone costs no more than one line would."""

    __slots__ = ("_beside", "_line", "_others", "_sender")

    def __init__(self) -> None:
        self._sender = ""
        """Whose turn it is."""
        self._line: deque[Entry] = deque()
        """What that one has; empty only if nobody has anything."""
        self._others: OrderedDict[str, deque[Entry]] = OrderedDict()
        """What the others have, in the order of their turns."""
        self._beside = 0
        """How many entries these are."""

    def __len__(self) -> int:
        return len(self._line) + self._beside

    def append(self, entry: Entry) -> None:
        """The entry comes after all of its sender's."""
        who = "" if entry.terms.patient else entry.event.origin.sender
        if who == self._sender:
            self._line.append(entry)
        elif not self._line:
            self._sender = who
            self._line.append(entry)
        else:
            line = self._others.get(who)
            if line is None:
                line = self._others[who] = deque()
            line.append(entry)
            self._beside += 1

    def first(self) -> Entry | None:
        """The entry that leaves next."""
        return self._line[0] if self._line else None

    def pop(self) -> Entry:
        """Remove and return the entry that leaves next; then it is the next sender's turn."""
        entry = self._line.popleft()
        if self._others:
            self._turn()
        return entry

    def give(self, batch: list[Entry]) -> None:
        """Move everything into `batch`."""
        batch.extend(self._line)
        self._line.clear()
        if self._others:
            for line in self._others.values():
                batch.extend(line)
            self._others.clear()
            self._beside = 0

    def overdue(self, latest: float) -> Iterator[Entry]:
        """Remove and yield the entries whose deadline is before `latest`. Of one sender they are in their order."""
        for line in self._lines():
            while line and line[0].deadline < latest:
                entry = line.popleft()
                if line is not self._line:
                    self._beside -= 1
                yield entry
        for who in [who for who, line in self._others.items() if not line]:
            del self._others[who]
        if not self._line and self._others:
            self._turn()

    def next_deadline(self) -> float:
        """The earliest deadline; inf if there is none."""
        return min((line[0].deadline for line in self._lines() if line), default=inf)

    def oldest(self) -> float:
        """When the longest-waiting entry was put (loop time); inf if nothing waits."""
        return min((line[0].queued_at for line in self._lines() if line), default=inf)

    def __iter__(self) -> Iterator[Entry]:
        for line in self._lines():
            yield from line

    def _lines(self) -> tuple[deque[Entry], ...]:
        return (self._line, *self._others.values())

    def _turn(self) -> None:
        """The next one's turn; who had it comes last, if it has something left."""
        if self._line:
            self._others[self._sender] = self._line
            self._beside += len(self._line)
        self._sender, self._line = self._others.popitem(last=False)
        self._beside -= len(self._line)
