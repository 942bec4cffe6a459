"""A set of integers as ranges that do not touch: which positions of a stream are settled."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """Ranges of integers, both ends included. It takes as much memory as it has gaps."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The ranges, in order."""
        return zip(self._firsts, self._lasts, strict=True)

    def __len__(self) -> int:
        """How many ranges."""
        return len(self._firsts)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and self._lasts[at] >= number

    def copy(self) -> "Ranges":
        """Another one with the same numbers."""
        return Ranges(self)

    @property
    def last(self) -> int:
        """The greatest number; 0 if there is none."""
        return self._lasts[-1] if self._lasts else 0

    def count(self, last: int) -> int:
        """How many of 1 to `last` are in it."""
        return sum(min(end, last) - first + 1 for first, end in self if first <= last)

    def first_missing(self) -> int:
        """The least number from 1 on that is not in it."""
        return self._lasts[0] + 1 if self._firsts and self._firsts[0] == 1 else 1

    def around(self, number: int) -> tuple[int, int]:
        """The range that `number` is in. Raises LookupError."""
        at = bisect_right(self._firsts, number) - 1
        if at < 0 or self._lasts[at] < number:
            raise LookupError(number)
        return self._firsts[at], self._lasts[at]

    def within(self, first: int, last: int) -> list[tuple[int, int]]:
        """What of `first` to `last` is in it, in order."""
        found = []
        at = max(0, bisect_right(self._firsts, first) - 1)
        while at < len(self._firsts) and self._firsts[at] <= last:
            if self._lasts[at] >= first:
                found.append((max(first, self._firsts[at]), min(last, self._lasts[at])))
            at += 1
        return found

    def add(self, first: int, last: int) -> list[int]:
        """Add `first` to `last`. Returns where ranges began that are now part of the one around `first`, which may
        begin there too."""
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        swallowed = self._firsts[low:high]
        if swallowed:
            first = min(first, swallowed[0])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]
        return swallowed
