"""Answers: what is made in a hurry says what is made with care."""

import orjson
import pytest

from service.http.answer import Listing, all_safe, delivered, stored

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
