"""How far the messages of one flow have come: what each still waits for, and before which all are settled."""

from collections.abc import Iterable


class Progress:
    """Counts by message number, from 0 on in the order in which messages are read."""

    def __init__(self) -> None:
        self.read = 0
        """Messages that were read."""
        self.settled = 0
        """Of them, those that are safe."""
        self._base = 0
        self._pending: dict[int, int] = {}
        """What each message that was read still waits for."""
        self._failed: set[int] = set()

    def begin(self) -> int:
        """The number of the next message. It waits for the end of its reading."""
        number = self.read
        self.read += 1
        self._pending[number] = 1
        return number

    def expect(self, number: int, more: int = 1) -> None:
        """The message waits for so much more; or less, but not for nothing."""
        self._pending[number] += more

    def withdraw(self, number: int, fewer: int) -> None:
        """It will never be settled, and so much of what it waited for does not come."""
        self._failed.add(number)
        left = self._pending[number] - fewer
        if left:
            self._pending[number] = left
        else:
            del self._pending[number]

    def count(self, numbers: Iterable[int]) -> list[int]:
        """Each of these waits for one thing less. Returns those that are settled by that."""
        pending, ended = self._pending, []
        for number in numbers:
            left = pending[number] - 1
            if left:
                pending[number] = left
            else:
                del pending[number]
                ended.append(number)
        if self._failed:
            ended = [number for number in ended if number not in self._failed]
        self.settled += len(ended)
        return ended

    def fail(self, number: int) -> bool:
        """It will never be settled. Returns whether that is new."""
        new = number not in self._failed
        self._failed.add(number)
        return new

    @property
    def settled_before(self) -> int:
        """The number of the first message that is not settled: all before it are."""
        base, pending, failed, read = self._base, self._pending, self._failed, self.read
        while base < read and base not in pending and base not in failed:
            base += 1
        self._base = base
        return base

    @property
    def under_way(self) -> int:
        """Messages that were read, and are neither settled nor have failed."""
        return len(self._pending) - len(self._pending.keys() & self._failed)
