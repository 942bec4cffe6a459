"""Order per key: of each key at most one entry may be on its way; the next waits for its end (`order: key`)."""

from collections import deque
from collections.abc import Iterator

from service.delivery.entry import Entry


class KeyOrder:
    """The entries that wait behind another one of their key, by key and in the order of their coming."""

    def __init__(self) -> None:
        self._behind: dict[str, deque[Entry]] = {}
        """A key that has an entry on its way is here, be it with an empty deque."""
        self._arrivals: deque[Entry] = deque()
        """All that wait, by deadline, with such as wait no more."""
        self.waiting = 0

    def admit(self, entry: Entry) -> bool:
        """Whether `entry` may go now; if not, it waits here. What has no key (a dead letter may) has no order."""
        key = entry.event.key
        if key is None:
            return True
        behind = self._behind.get(key)
        if behind is None:
            self._behind[key] = deque()
            return True
        behind.append(entry)
        self._arrivals.append(entry)
        entry.behind = True
        self.waiting += 1
        return False

    def finish(self, entry: Entry) -> Entry | None:
        """`entry`, which was on its way, has ended. Returns the next one of its key, which may go now."""
        key = entry.event.key
        if key is None:
            return None
        behind = self._behind.get(key)
        while behind:
            following = behind.popleft()
            if following.behind:
                self._release(following)
                return following
        self._behind.pop(key, None)
        return None

    def overdue(self, latest: float) -> Iterator[Entry]:
        """Give up waiting for the entries whose deadline is before `latest`: yield them."""
        while self._arrivals and (not self._arrivals[0].behind or self._arrivals[0].deadline < latest):
            entry = self._arrivals.popleft()
            if entry.behind:
                self._release(entry)
                yield entry

    def next_deadline(self) -> float:
        """The earliest deadline of what waits, or an earlier one; inf if nothing waits."""
        return self._arrivals[0].deadline if self._arrivals else float("inf")

    def clear(self) -> list[Entry]:
        """Remove and return everything that waits."""
        everything = [entry for entry in self._arrivals if entry.behind]
        for entry in everything:
            self._release(entry)
        self._arrivals.clear()
        self._behind.clear()
        return everything

    def _release(self, entry: Entry) -> None:
        entry.behind = False
        self.waiting -= 1
