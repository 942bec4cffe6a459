"""The place of a worker between one worker and the next."""

import pytest

from service.workers import seat
from service.workers.channel import Assignment, Misconfigured
from service.workers.seat import NOT_STARTED, Seat


async def test_what_was_heard_of_the_last_worker_is_not_told_of_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Seat(Assignment(0, 2, 0, "{}", None), lambda sink, route: ("", ""))
    here._hear(Misconfigured([]))
    assert here.shown()["heard_seconds_ago"] is not None

    def none() -> None:
        raise OSError

    monkeypatch.setattr(seat, "_started", none)
    assert await here._live() == NOT_STARTED
    assert here.shown()["heard_seconds_ago"] is None
