"""Stored events on their way to the sinks: from memory, from the disk, again after a restart, or as dead letters."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from service.delivery.entry import Entry
from service.journal import feeder, share, writer
from service.journal.journal import Journal
from service.journal.reader import Row
from service.outcome import Reason
from service.receipt import Settlement
from tests.flow.journaled import Journaled, events, ids, journaled, until

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


def letters(run: Journaled) -> list[tuple[str, str, str]]:
    """Id, sink and reason of each dead letter."""
    found = [json.loads(each.body) for each in run.sinks["dead"].taken]
    return [(each["id"], each["sink"], each["reason"]) for each in found]


# --- from memory, and from the disk


async def test_a_lane_that_keeps_up_is_fed_from_memory(tmp_path: Path, reads: list[int]) -> None:
    async with journaled(tmp_path) as run:
        for first in range(1, 1000, 50):
            await run.stored(events(first, first + 49))
        await run.empty()
        assert run.taken("main") == ids(1, 1000)
        assert not reads


async def test_a_lane_that_does_not_is_fed_from_the_disk_in_order_within_its_memory(
    tmp_path: Path, reads: list[int]
) -> None:
    async with journaled(tmp_path, main="memory: 256KiB, batch: 10") as run:
        lane, most = run.lane("main"), 0

        def look() -> None:
            nonlocal most
            most = max(most, lane.held_bytes)

        lane.books.released.append(look)
        run.sinks["main"].hold()
        for first in range(1, 3000, 100):
            await run.stored(events(first, first + 99, size=1000))
            look()
        assert lane.held_events <= 200
        run.sinks["main"].deliver()
        await run.empty()
        assert run.taken("main") == ids(1, 3000)
        assert reads
        # half of it, and the event that came last
        assert most <= lane.capacity // share.MOST + 2048


async def test_what_one_lane_cannot_take_does_not_hold_back_another(tmp_path: Path) -> None:
    async with journaled(tmp_path, to="main, loose") as run:
        run.sinks["loose"].hold()
        for first in range(1, 1000, 20):
            await run.stored(events(first, first + 19, size=1000))
        await until(lambda: len(run.taken("main")) == 1000)
        assert run.lane("loose").held_bytes <= 64 * 1024
        run.sinks["loose"].deliver()
        await run.empty()
        assert run.taken("loose") == ids(1, 1000)


async def test_a_waiter_that_fails_strands_no_other(tmp_path: Path) -> None:
    class Failing:
        def settle(self, index: int, lane: str, settlement: Settlement) -> None:
            raise ZeroDivisionError("a defect of whoever waits")

        def settle_delivered(self, entries: Sequence[Entry]) -> None:
            raise ZeroDivisionError("a defect of whoever waits")

    async with journaled(tmp_path) as run:
        [first] = events(1, 1)
        run.pipeline.accept_one(run.pipeline.routes["r"], first, Failing())
        await run.stored(events(2, 3))
        await run.empty()
        assert run.taken("main") == ids(1, 3)
        assert run.journal.state.queued_bytes == 0


# --- to the dead letters


async def test_what_grew_too_old_goes_to_the_dead_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder, "AGAIN_SECONDS", 0.01)
    async with journaled(tmp_path, main="memory: 64KiB", journal="max_age: 300ms, min_free: 0") as run:
        run.sinks["main"].retry()
        for first in range(1, 200, 20):
            await run.stored(events(first, first + 19, size=1000))
        await run.empty()
        assert sorted(letters(run)) == sorted((each, "main", Reason.TOO_OLD.value) for each in ids(1, 200))
        assert not run.taken("main")


async def test_a_dead_letter_that_is_not_safe_leaves_its_event_stored(tmp_path: Path) -> None:
    async with journaled(tmp_path, journal="max_age: 1ms, min_free: 0") as run:
        run.sinks["main"].retry()
        run.sinks["dead"].retry()
        await run.stored(events(1, 3))
        await run.sinks["dead"].called()
    async with journaled(tmp_path, journal="max_age: 1h, min_free: 0") as run:
        await run.empty()
        assert run.taken("main") == ids(1, 3)


async def test_a_best_effort_sink_that_is_away_sheds_what_is_beyond_its_share(tmp_path: Path) -> None:
    async with journaled(
        tmp_path, to="main, {sink: loose, required: false}", journal="max_bytes: 16MiB, min_free: 0"
    ) as run:
        run.sinks["loose"].hold()
        for first in range(1, 400, 10):
            await run.stored(events(first, first + 9, size=15_000))
        await until(lambda: len(run.taken("main")) == 400)
        await until(lambda: len(letters(run)) > 100)
        assert {(sink, reason) for _, sink, reason in letters(run)} == {("loose", "lane_full")}
        run.sinks["loose"].deliver()
        await run.empty()
        assert sorted([*run.taken("loose"), *(id for id, _, _ in letters(run))]) == sorted(ids(1, 400))
        assert run.taken("main") == ids(1, 400)


async def test_what_a_best_effort_sink_sheds_is_dropped_while_the_dead_letters_are_away_too(tmp_path: Path) -> None:
    async with journaled(
        tmp_path, to="main, {sink: loose, required: false}", journal="max_bytes: 16MiB, min_free: 0"
    ) as run:
        run.sinks["loose"].hold()
        run.sinks["dead"].retry()
        for first in range(1, 800, 10):
            await run.stored(events(first, first + 9, size=15_000))
        await until(lambda: len(run.taken("main")) == 800)
        await until(lambda: run.meter.lane_settled["loose", "r", "dropped", "lane_full"] > 100)


async def test_an_event_that_a_best_effort_sink_cannot_take_goes_to_the_dead_letters(tmp_path: Path) -> None:
    async with journaled(tmp_path, to="main, {sink: loose, required: false}") as run:
        await run.stored([*events(1, 2), *events(3, 3, size=30_000), *events(4, 5)])
        await run.empty()
        assert run.taken("loose") == ["e1", "e2", "e4", "e5"]
        assert letters(run) == [("e3", "loose", "too_large")]
        assert run.taken("main") == ids(1, 5)


# --- after a restart


async def test_only_what_was_not_settled_is_handed_over_after_a_restart(tmp_path: Path) -> None:
    async with journaled(tmp_path, to="main, loose") as run:
        run.sinks["loose"].retry(when=lambda event: event.id == "e5")
        await run.stored(events(1, 20))
        await until(lambda: len(run.taken("loose")) == 19 and len(run.taken("main")) == 20)
        run.sinks["main"].retry()
        run.sinks["loose"].retry()
        await run.stored(events(21, 30))
    async with journaled(tmp_path, to="main, loose") as run:
        await run.empty()
        assert run.taken("main") == ids(21, 30)
        assert run.taken("loose") == ["e5", *ids(21, 30)]
    async with journaled(tmp_path, to="main, loose") as run:
        await run.stored(events(31, 31))
        await run.empty()
        assert run.taken("main") == run.taken("loose") == ["e31"]


async def test_a_drain_leaves_the_rest_in_the_journal_and_is_clean(tmp_path: Path) -> None:
    async with journaled(tmp_path) as run:
        run.sinks["main"].hang()
        await run.stored(events(1, 10))
        await run.sinks["main"].called()
        assert await run.pipeline.drain(0.05)
    async with journaled(tmp_path) as run:
        await run.empty()
        assert run.taken("main") == ids(1, 10)


async def test_the_order_of_a_key_holds_through_a_restart(tmp_path: Path) -> None:
    main = "order: key, memory: 64KiB"
    async with journaled(tmp_path, main=main) as run:
        run.sinks["main"].retry()
        for number in range(1, 101):
            run.accept(events(number, number, size=1000, key=f"k{number % 3}"))
        await run.stored(events(101, 101, key="k2"))
    async with journaled(tmp_path, main=main) as run:
        later = asyncio.gather(*(run.store(events(n, n, key=f"k{n % 3}")) for n in range(102, 200)))
        await later
        await run.empty()
        for key in range(3):
            mine = [int(each[1:]) for each in run.taken("main") if int(each[1:]) % 3 == key]
            assert mine == list(range(key or 3, 200, 3))


async def test_a_disk_that_cannot_be_read_is_told_once_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(feeder, "AGAIN_SECONDS", 0.01)
    async with journaled(tmp_path) as run:
        run.sinks["main"].retry()
        await run.stored(events(1, 3))
    real, troubles = Journal.rows, iter([sqlite3.DatabaseError("disk I/O error")] * 3)

    async def rows(self: Journal, stream: int, position: int, most: int) -> list[Row]:
        if (trouble := next(troubles, None)) is not None:
            raise trouble
        return await real(self, stream, position, most)

    monkeypatch.setattr(Journal, "rows", rows)
    async with journaled(tmp_path) as run:
        await run.empty()
        assert run.taken("main") == ids(1, 3)
    assert [record.message for record in caplog.records if "cannot be read" in record.message] == [
        "stored events cannot be read; it is tried again"
    ]


async def test_a_damaged_row_stays_and_is_counted_and_holds_back_nothing(tmp_path: Path) -> None:
    async with journaled(tmp_path) as run:
        run.sinks["main"].retry()
        for first in range(1, 30, 10):
            await run.stored(events(first, first + 9))
    with closing(sqlite3.connect(tmp_path / FILE)) as file, file:
        [(place, body)] = file.execute("SELECT place, body FROM batches ORDER BY place LIMIT 1 OFFSET 1").fetchall()
        file.execute("UPDATE batches SET body = ? WHERE place = ?", (body.replace(b"xxx", b"yyy", 1), place))
    for _ in range(2):
        async with journaled(tmp_path) as run:
            await until(lambda run=run: run.meter.journal_damaged == 10)  # type: ignore[misc]
            await run.stored(events(31, 31))
            await until(lambda run=run: "e31" in run.taken("main"))  # type: ignore[misc]
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        assert file.execute("SELECT place, events FROM batches").fetchall() == [(place, 10)]


async def test_what_cannot_be_looked_at_does_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def senseless(*_: object) -> None:
        raise ValueError("a damaged page")

    monkeypatch.setattr(writer, "LOOK_SECONDS", 0.01)
    async with journaled(tmp_path) as run:
        with monkeypatch.context() as looking:
            looking.setattr(writer, "usage_of", senseless)
            await until(lambda: "how full the journal is cannot be told" in caplog.text)
        await run.stored(events(1, 3))
        await run.empty()
        assert run.taken("main") == ids(1, 3)


@pytest.mark.parametrize("replaced", [False, True])
async def test_nothing_is_stored_in_a_file_that_was_removed(tmp_path: Path, replaced: bool) -> None:
    async with journaled(tmp_path) as run:
        await run.stored(events(1, 3))
        await run.empty()
        (tmp_path / FILE).unlink()
        if replaced:
            (tmp_path / FILE).touch()
        assert not (await run.store(events(4, 6))).all_delivered
        await until(lambda: "was removed or replaced" in (run.journal.trouble or ""))
        assert (tmp_path / FILE).exists() == replaced
