"""The place of a worker between one worker and the next."""

import asyncio
from typing import Any

import pytest

from service.telemetry.meter import Meter
from service.telemetry.snapshot import Snapshot
from service.workers import seat
from service.workers.channel import Assignment, Command, Misconfigured, Report
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


class Unheard:
    """The channel of a worker that hangs."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def send(self, message: Any) -> None:
        """Nobody answers."""
        self.told.append(message)


async def test_a_worker_that_hangs_is_asked_once_and_waited_for_as_long_as_is_said() -> None:
    here, channel = Seat(Assignment(0, 2, 0, "{}", None), lambda sink, route: ("", "")), Unheard()
    here.snapshot, here._channel = Snapshot("serving", Meter(), [], {}, []), channel  # type: ignore[assignment]
    async with asyncio.timeout(30):
        for _ in range(3):
            await here.refresh(0.01)
        assert channel.told == [Command.REPORT]
        waiting = asyncio.create_task(here.refresh(1000))
        await asyncio.sleep(0)
        here._hear(Report(Snapshot("serving", Meter(), [], {}, []), asked=True))
        await waiting
        await here.refresh(0.01)
    assert channel.told == [Command.REPORT, Command.REPORT]
