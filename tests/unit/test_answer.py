"""Answers: what is made in a hurry says what is made with care."""

import orjson
import pytest

from service.http.answer import PIECE_EVENTS, Listing, all_safe, delivered, many_safe, stored
from service.http.turns import whole

IDS = ["plain", 'quo"te', "back\\slash", "é", "😀", "\u200b", "tab\t", "a/b", ""]


@pytest.mark.parametrize("ids", [IDS[:1], IDS, ["same", "same"]])
@pytest.mark.parametrize("minimal", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_what_is_said_of_events_that_are_all_safe_is_what_is_said_of_each(
    ids: list[str], minimal: bool, kept: bool
) -> None:
    results = [(stored if kept else delivered)(index, each) for index, each in enumerate(ids)]
    slow = Listing(minimal)
    slow.add(results)
    fast = all_safe(ids, "r-1", minimal, stored=kept)
    assert fast == slow.answer("r-1", lambda: 1.0)
    assert fast.status == (202 if kept else 200)
    assert [result["id"] for result in orjson.loads(fast.body)["results"]] == ([] if minimal else ids)


@pytest.mark.parametrize("count", [PIECE_EVENTS - 1, PIECE_EVENTS, 2 * PIECE_EVENTS + 1])
@pytest.mark.parametrize("minimal", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_a_long_answer_is_the_same_made_piece_by_piece(count: int, minimal: bool, kept: bool) -> None:
    ids = [str(number) for number in range(count)]
    at_once = all_safe(ids, "r-1", minimal, stored=kept)
    assert whole(many_safe(ids, "r-1", minimal, stored=kept)) == at_once
    listing = Listing(minimal)
    for first in range(0, count, 100):
        some = range(first, min(first + 100, count))
        listing.add([(stored if kept else delivered)(index, ids[index]) for index in some])
    assert listing.answer("r-1", lambda: 1.0) == at_once
