"""Rows of the journal: they come back as they were written, or are told to be damaged."""

import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.event import Event, Origin
from service.journal import record

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ORIGINS = st.builds(Origin, TEXT, st.floats(0, 2e9), TEXT, TEXT)
BODIES = st.binary(max_size=200)


@st.composite
def requests(draw: st.DrawFn) -> list[Event]:
    """The events of one request to the route `r`."""
    origin = draw(ORIGINS)
    attributes = st.dictionaries(TEXT, TEXT, max_size=4)
    one = st.builds(
        Event, TEXT, st.just("r"), st.none() | TEXT, BODIES, TEXT, attributes, st.just(origin), st.booleans()
    )
    return draw(st.lists(one, min_size=1, max_size=5))


@settings(max_examples=40, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=3))
def test_events_come_back_in_order_with_all_that_they_had(groups: list[list[Event]]) -> None:
    row = record.encode(groups)
    assert record.decode(row, "r") == [event for group in groups for event in group]


@settings(max_examples=60, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=2), st.integers(0, 2**32))
def test_damaged_bytes_have_another_checksum_and_never_raise_anything_else(
    groups: list[list[Event]], seed: int
) -> None:
    row, rng = record.encode(groups), random.Random(seed)
    at = rng.randrange(len(row))
    damaged = rng.choice(
        [
            row[:at],
            row[:at] + bytes([row[at] ^ 1 << rng.randrange(8)]) + row[at + 1 :],
            row[:at] + rng.randbytes(min(64, len(row) - at)) + row[at + 64 :],
            rng.randbytes(len(row)),
        ]
    )
    assert damaged == row or record.checksum(damaged) != record.checksum(row)
    with suppress(record.Damaged):
        assert all(isinstance(event, Event) for event in record.decode(damaged, "r"))


def test_text_that_is_no_utf_8_is_damage() -> None:
    row = record.encode([[Event("é", "r", None, b"", "", {}, Origin("s", 0.0, "a", "i"), False)]])
    with pytest.raises(record.Damaged):
        record.decode(row.replace("é".encode(), b"\xff\xfe"), "r")
