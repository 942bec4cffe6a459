"""Rows of the journal: events, or Damaged. A row that is read is written again as it reads."""

from service.journal.record import Damaged, decode, encode


def run(data: bytes) -> None:
    """A row."""
    try:
        events = decode(data, "orders")
    except Damaged:
        return
    if events:
        again = decode(encode([[each] for each in events]), "orders", len(events))
        assert again == events
