"""The tally of one flow: what each of its messages still waits for, by number, and which are settled."""

from collections.abc import Iterable


class Tally:
    """Counts down. A message is settled once it waits for nothing more, unless something of it has failed."""

    def __init__(self) -> None:
        self.settled = 0
        """Messages that are."""
        self._pending: dict[int, int] = {}
        self._failed: set[int] = set()
        self._base = 0

    def expect(self, number: int, things: int = 1) -> None:
        """A message waits for so many things more."""
        self._pending[number] = self._pending.get(number, 0) + things

    def count(self, numbers: Iterable[int], things: int = 1) -> list[int]:
        """Each of these waits for so many things less, each time that it is named. Returns those that are settled."""
        pending, failed = self._pending, self._failed
        settled: list[int] = []
        for number in numbers:
            left = pending[number] - things
            if left:
                pending[number] = left
            else:
                del pending[number]
                if number not in failed:
                    settled.append(number)
        self.settled += len(settled)
        return settled

    def fail(self, number: int) -> bool:
        """Something of it failed: it is never settled. Returns whether that is news."""
        news = number not in self._failed
        self._failed.add(number)
        return news

    @property
    def under_way(self) -> int:
        """Messages that wait for something, of those that have not failed."""
        return len(self._pending) - len(self._pending.keys() & self._failed)

    def settled_before(self, end: int) -> int:
        """The first number, or `end`, that is not settled: all before it are. `end` never shrinks."""
        base, pending, failed = self._base, self._pending, self._failed
        while base < end and base not in pending and base not in failed:
            base += 1
        self._base = base
        return base
