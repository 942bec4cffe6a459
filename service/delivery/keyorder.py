"""Order per key: of each key at most one entry is on its way; the others wait for its end (`order: key`)."""

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from math import inf

from service.delivery.entry import Entry

_SLACK = 64
"""So many entries that wait no more may stand among the deadlines, whatever waits."""


class KeyOrder:
    """The entries that wait behind another one of their key, by key and in the order of their coming."""

    def __init__(self) -> None:
        self._behind: dict[str, OrderedDict[Entry, None] | None] = {}
        """A key that has an entry on its way is here; None while nothing waits behind it."""
        self._deadlines: list[tuple[float, int, Entry]] = []
        """A heap of what waits and has a deadline, with such as wait no more. An adopted entry may be due before
        those that came earlier, so the order of coming is not that of the deadlines."""
        self.waiting = 0

    def admit(self, entry: Entry) -> bool:
        """Whether `entry` may go now; if not, it waits here. What has no key (a dead letter may) has no order."""
        key = entry.event.key
        if key is None:
            return True
        if key not in self._behind:
            self._behind[key] = None
            entry.holds_key = True
            return True
        behind = self._behind[key]
        if behind is None:
            behind = self._behind[key] = OrderedDict()
        behind[entry] = None
        self.waiting += 1
        entry.behind = True
        if entry.deadline < inf:
            heapq.heappush(self._deadlines, (entry.deadline, entry.sequence, entry))
        return False

    def finish(self, entry: Entry) -> Entry | None:
        """`entry` has ended. Returns the next one of its key, which may go now; None if it was not on its way."""
        key = entry.event.key
        if key is None or not entry.holds_key:
            return None
        entry.holds_key = False
        behind = self._behind.get(key)
        if not behind:
            self._behind.pop(key, None)
            return None
        following, _ = behind.popitem(last=False)
        self._forget(following)
        following.holds_key = True
        return following

    def overdue(self, latest: float) -> Iterator[Entry]:
        """Give up waiting for the entries whose deadline is before `latest`: yield them."""
        while self._deadlines and (not self._deadlines[0][2].behind or self._deadlines[0][0] < latest):
            entry = heapq.heappop(self._deadlines)[2]
            if entry.behind and entry.event.key is not None and (behind := self._behind[entry.event.key]):
                del behind[entry]
                self._forget(entry)
                yield entry

    def next_deadline(self) -> float:
        """The earliest deadline of what waits, or an earlier one; inf if nothing waits that has one."""
        return self._deadlines[0][0] if self._deadlines else inf

    def entries(self) -> Iterator[Entry]:
        """Everything that waits."""
        for behind in self._behind.values():
            yield from behind or ()

    def clear(self) -> list[Entry]:
        """Remove and return everything that waits, and forget what is on its way."""
        everything = list(self.entries())
        for entry in everything:
            entry.behind = False
        self.waiting = 0
        self._deadlines.clear()
        self._behind.clear()
        return everything

    def _forget(self, entry: Entry) -> None:
        """`entry` waits no more. Its deadline may stay for a while, but not for ever: it keeps the body alive."""
        entry.behind = False
        self.waiting -= 1
        if len(self._deadlines) > 2 * self.waiting + _SLACK:
            self._deadlines = [item for item in self._deadlines if item[2].behind]
            heapq.heapify(self._deadlines)
