"""Aggregated records of the Kinesis Producer Library: never raises, and what we make is what is found."""

from hashlib import md5

from service.codecs.deaggregation import deaggregated
from service.codecs.kpl import MAGIC, Aggregate


def run(data: bytes) -> None:
    """A message without its frame; and the user records of one, parted by zero bytes."""
    assert deaggregated(data)
    found = deaggregated(MAGIC + data + md5(data, usedforsecurity=False).digest())
    assert sum(map(len, found)) <= len(data) + 20
    records = data.split(b"\0")
    made = Aggregate("170141183460469231731687303715884105728")
    for number, each in enumerate(records):
        assert made.add(f"key{number % 3}", each, 1 << 20)
    assert deaggregated(made.encode()) == records
