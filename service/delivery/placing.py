"""Placing: which partition of the destination each entry of a lane goes to, when the partitions change too."""

import logging
from collections.abc import Iterable

from service.delivery.books import Books
from service.delivery.entry import Entry
from service.event import Event
from service.sinks.contract import Partitioned

log = logging.getLogger(__name__)


class Placing:
    """The partitions of one lane's sink; None for a sink that has none, where everything is in partition 0."""

    def __init__(self, sink: str, partitioned: Partitioned | None, books: Books) -> None:
        self.generation = partitioned.generation if partitioned is not None else 0
        """The partitions by which what waits is sorted."""
        self._sink = sink
        self._partitioned = partitioned
        self._books = books

    def partition(self, event: Event) -> int:
        """Where `event` would go. Raises what the sink raises."""
        return self._partitioned.partition(event) if self._partitioned is not None else 0

    def changed(self) -> bool:
        """Whether the partitions are others than when this was last asked."""
        before = self.generation
        if self._partitioned is not None:
            self.generation = self._partitioned.generation
        return self.generation != before

    def renew(self, entries: Iterable[Entry]) -> None:
        """Let each entry know its partition of now, and the books too. They must not stand in a partition's queue."""
        failed = False
        for entry in entries:
            try:
                number = self.partition(entry.event)
            except Exception:
                # A foreign sink's own: an event that goes where it went before is slower at worst.
                if not failed:
                    log.exception("the sink could not say to which partition an event goes", extra={"sink": self._sink})
                failed = True
                continue
            if number != entry.partition:
                self._books.move(entry, number)
