"""`python -m bench.stored_bytes`: what an event takes of the journal's disk. Counts, not times.

Orders as in `bench.costs`, in rows as the journal's writer makes them; measured once the log is copied into the file.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.costs import order
from service.event import Event
from service.journal.store import Store
from service.journal.writer import Request, rows_of

EVENTS = 2_000
DIFFERENT = 20
SIZES = (300, 889, 10_000)
WAYS = (("one event a commit", 1, 1), ("100 requests of one event", 1, 100), ("requests of 100 events", 100, 10))
"""What it is called, events in a request, and requests in a commit."""


def bytes_an_event(size: int, events: int, requests: int) -> float:
    """Bytes of the disk for an event of `size`."""
    chance = random.Random(1)
    made = [order(number, size, chance) for number in range(DIFFERENT)] * (EVENTS // DIFFERENT)
    with TemporaryDirectory() as folder:
        path = Path(folder, "journal.db")
        with Store.open(path) as store:
            store.arrange({"orders": {"lake": True}})
            empty = store.used_bytes()
            for commit in _commits(made, events, requests, store.streams["orders"].id):
                store.commit(rows_of(commit), {})
        with Store.open(path) as store:
            return (store.used_bytes() - empty) / EVENTS


def _commits(made: Sequence[Event], events: int, requests: int, stream: int) -> Iterator[list[Request]]:
    step = events * requests
    for begin in range(0, len(made), step):
        yield [
            Request(stream, first + 1, (some := made[first : first + events]), sum(each.charge for each in some))
            for first in range(begin, begin + step, events)
        ]


def main() -> None:
    """Print the table."""
    print("| commits | " + " | ".join(f"{size:,} B" for size in SIZES) + " |")
    print("|---|" + "--:|" * len(SIZES))
    for name, events, requests in WAYS:
        cells = [f"{bytes_an_event(size, events, requests):,.0f}" for size in SIZES]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
