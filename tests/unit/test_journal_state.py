"""What the journal knows of a stream: what waits, and for whom."""

import pytest

from service.journal.ranges import Ranges
from service.journal.state import Leg, Stream, common


@pytest.mark.parametrize(
    ("legs", "waits"),
    [
        ({}, 0),
        ({"a": (True, 4)}, 0),
        ({"a": (True, 4), "b": (False, 1)}, 3),
        ({"a": (True, 4), "b": (True, 2), "c": (False, 1)}, 1),
        ({"b": (False, 1)}, 9),
        ({"b": (False, 1), "c": (False, 3)}, 9),
    ],
)
def test_what_waits_for_best_effort_sinks_alone_is_what_no_required_one_waits_for(
    legs: dict[str, tuple[bool, int]], waits: int
) -> None:
    made = {
        sink: Leg(number, sink, required, Ranges([(1, settled)]))
        for number, (sink, (required, settled)) in enumerate(legs.items(), 1)
    }
    stream = Stream(1, "r", made, common([leg.settled for leg in made.values()]), 10)
    assert stream.waiting_for_optional() == waits
