"""Rows of the journal: events, or Damaged. A row that is read is written again as it reads."""

from service.journal.record import Damaged, decode, encode


def run(data: bytes) -> None:
    """A row."""
    try:
        events = decode(data, "orders")
    except Damaged:
        return
    if events:
        row = encode([[each] for each in events])
        assert encode([[each] for each in decode(row, "orders", len(events))]) == row
