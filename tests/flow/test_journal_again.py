"""Stored events that a lane gives back: they are handed over again, in order, and hold back nothing."""

from pathlib import Path

import pytest

from service.journal import feeder
from service.journal.journal import Journal
from service.journal.reader import Row
from tests.flow.journaled import events, ids, journaled, until

FILE = Path("journal", "worker-0", "journal.db")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each read of rows."""
    sizes: list[int] = []
    real = Journal.rows

    async def rows(self: Journal, stream: int, position: int, most: int) -> list[Row]:
        found = await real(self, stream, position, most)
        sizes.append(sum(len(row.body) for row in found))
        return found

    monkeypatch.setattr(Journal, "rows", rows)
    return sizes


async def test_what_a_lane_gives_back_is_handed_over_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder, "AGAIN_SECONDS", 0.01)
    async with journaled(tmp_path) as run:
        run.sinks["main"].hold()
        await run.stored(events(1, 20))
        await run.sinks["main"].called()
        for call in list(run.lane("main").calls.tasks):
            call.cancel()
        await run.stored(events(21, 40))
        run.sinks["main"].deliver()
        await run.empty()
        assert sorted(set(run.taken("main"))) == sorted(ids(1, 40))
        assert len(run.taken("main")) == 40


async def test_what_comes_back_together_is_read_by_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[int]
) -> None:
    monkeypatch.setattr(feeder, "AGAIN_SECONDS", 0.01)
    async with journaled(tmp_path) as run:
        run.sinks["main"].hold()
        await run.stored(events(1, 200))
        await run.sinks["main"].called()
        for call in list(run.lane("main").calls.tasks):
            call.cancel()
        run.sinks["main"].deliver()
        await run.empty()
        assert sorted(run.taken("main")) == sorted(ids(1, 200))
        assert len(reads) <= 2


async def test_an_event_that_comes_back_again_and_again_delays_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with journaled(tmp_path) as run:
        run.sinks["main"].retry()
        await run.stored([*events(1, 1, size=900_000), *events(2, 50)])
    monkeypatch.setattr(feeder, "AGAIN_SECONDS", 1000.0)
    async with journaled(tmp_path, main="largest: 20KiB") as run:
        # neither the sink takes e1 any more, nor the one of the dead letters
        await until(lambda: run.taken("main") == ids(2, 50))
        await run.stored(events(51, 60))
        await until(lambda: run.taken("main") == ids(2, 60))
        assert run.journal.state.waiting["main", "r"] >= 1


async def test_at_a_sink_that_keeps_order_nothing_overtakes_what_came_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder, "AGAIN_SECONDS", 0.2)
    async with journaled(tmp_path, main="order: key") as run:
        run.sinks["main"].hold()
        await run.stored(events(1, 1, key="k"))
        await run.sinks["main"].called()
        for call in list(run.lane("main").calls.tasks):
            call.cancel()
        await until(lambda: bool(run.feeder("main")._again))
        run.sinks["main"].deliver()
        await run.stored(events(2, 2, key="k"))
        await run.empty()
        assert run.taken("main") == ids(1, 2)
