"""How far what is settled lags behind what there is, by partition."""

from collections.abc import Collection, Iterable, Mapping

from service.sources.kafka.partition import Key, Partition


class Lag:
    """What is known of the partitions' ends. Only the event loop's thread calls it."""

    def __init__(self) -> None:
        self._ends: dict[Key, int] = {}
        self._starts: dict[Key, int] = {}

    def ended(self, key: Key, offset: int) -> None:
        """A partition was read to this end."""
        self._ends[key] = max(offset, self._ends.get(key, 0))

    def seen(self, ends: Mapping[Key, int], starts: Mapping[Key, int], ours: Collection[Key]) -> None:
        """Where partitions end now, and where those begin of which nothing was received."""
        self._ends.update((key, end) for key, end in ends.items() if key in ours)
        self._starts.update((key, start) for key, start in starts.items() if key in ours)

    def forget(self, key: Key) -> None:
        """The partition is somebody else's."""
        self._ends.pop(key, None)
        self._starts.pop(key, None)

    def of(self, partitions: Iterable[Partition]) -> int:
        """Messages that are there and not settled, as far as is known: offsets, so that holes count too."""
        return sum(map(self._of, partitions))

    def _of(self, partition: Partition) -> int:
        end = self._ends.get(partition.key)
        at = partition.position
        if at is None:
            at = partition.first_unsettled
        if at is None:
            at = self._starts.get(partition.key)
        return max(0, end - at) if end is not None and at is not None else 0
