"""A disk that is full, fails, hangs or may not be written: nothing acknowledged is lost, and it recovers by itself."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.errors import Busy
from service.journal import journal as journals
from service.journal import writer
from service.receipt import Receipt
from tests.disk.vfs import FULL, IOERR_FSYNC, IOERR_WRITE, OK, FailingDisk, watched
from tests.flow.journaled import Journaled, events, ids, journaled, until

FOLDER = Path("journal", "worker-0")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingDisk]:
    """Under the journal of `tmp_path`."""
    monkeypatch.setattr(writer, "AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(writer, "LOOK_SECONDS", 0.02)
    (tmp_path / FOLDER).mkdir(parents=True)
    found = FailingDisk()
    with watched(tmp_path / FOLDER, found):
        yield found


def full(disk: FailingDisk) -> None:
    """No write succeeds."""
    disk.on_write = lambda name: FULL


def full_log(disk: FailingDisk) -> None:
    """The log cannot grow; the file can."""
    disk.on_write = lambda name: FULL if name.endswith("-wal") else OK


def broken(disk: FailingDisk) -> None:
    """Writes fail."""
    disk.on_write = lambda name: IOERR_WRITE


def unsynced(disk: FailingDisk) -> None:
    """Writes succeed, syncs do not."""
    disk.on_sync = lambda name: IOERR_FSYNC


def flickering(disk: FailingDisk) -> None:
    """Every third write fails."""
    disk.on_write = lambda name: OK if disk.writes % 3 else IOERR_WRITE


def read_only(disk: FailingDisk) -> None:
    """The file system was mounted anew, for reading."""
    disk.read_only = True


FAULTS = [full, full_log, broken, unsynced, flickering, read_only]


def assert_not_stored(receipt: Receipt) -> None:
    """It is answered that a retry may help, and may be a duplicate."""
    for index in range(len(receipt.lanes)):
        [settlement] = receipt.failures(index).values()
        assert settlement.reason is not None
        assert (settlement.reason.value, settlement.may_duplicate, settlement.refused) == ("not_stored", True, False)
        assert settlement.detail == "the disk failed", "a path of ours is nothing for producers"


async def restored(run: Journaled) -> None:
    """Return once it takes events again."""
    await until(lambda: run.journal.trouble is None)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_disk_that_fails_refuses_and_recovers_by_itself(
    tmp_path: Path, disk: FailingDisk, fault: Callable[[FailingDisk], None]
) -> None:
    async with journaled(tmp_path, main="memory: 64KiB") as run:
        run.sinks["main"].hold()
        for first in range(1, 101, 10):
            await run.stored(events(first, first + 9, size=1000))
        fault(disk)
        refused = await run.store(events(101, 110))
        if fault is not flickering:
            assert_not_stored(refused)
            await until(lambda: run.journal.trouble is not None)
            with pytest.raises(Busy, match=r"the journal takes nothing now: the disk fails$") as caught:
                run.accept(events(111, 120))
            assert caught.value.retry_after >= 1
            assert run.journal.trouble is not None
            assert run.journal.trouble.startswith("the disk fails (")
            failures = run.meter.journal_failures
            await until(lambda: run.meter.journal_failures > failures + 3)
        disk.heal()
        await restored(run)
        await run.stored(events(121, 130))
        run.sinks["main"].deliver()
        await run.empty()
        expected = [*ids(1, 100), *(ids(101, 110) if refused.all_delivered else []), *ids(121, 130)]
        assert run.taken("main") == expected
    async with journaled(tmp_path) as run:
        await run.stored(events(131, 131))
        await run.empty()
        assert run.taken("main") == ids(131, 131)


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_is_delivered_while_the_disk_fails_is_settled_once_it_is_well(
    tmp_path: Path, disk: FailingDisk, fault: Callable[[FailingDisk], None]
) -> None:
    async with journaled(tmp_path) as run:
        run.sinks["main"].hold()
        await run.stored(events(1, 10))
        fault(disk)
        run.sinks["main"].deliver()
        await until(lambda: len(run.taken("main")) == 10)
        if fault is not flickering:
            await until(lambda: run.meter.journal_failures > 0)
        disk.heal()
        await run.empty()
    async with journaled(tmp_path) as run:
        await run.stored(events(11, 11))
        await run.empty()
        assert run.taken("main") == ["e11"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_process_that_ends_while_the_disk_fails_loses_nothing(
    tmp_path: Path, disk: FailingDisk, fault: Callable[[FailingDisk], None]
) -> None:
    async with journaled(tmp_path) as run:
        run.sinks["main"].hang()
        await run.stored(events(1, 10))
        fault(disk)
        run.accept(events(11, 20))
    disk.heal()
    async with journaled(tmp_path) as run:
        await run.empty()
        assert run.taken("main")[:10] == ids(1, 10)


async def test_a_disk_that_hangs_is_told_and_what_was_asked_is_stored_when_it_goes_on(
    tmp_path: Path, disk: FailingDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "STALLED_SECONDS", 0.05)
    released = threading.Event()

    def wait(name: str) -> int:
        released.wait(30)
        return OK

    async with journaled(tmp_path) as run:
        await run.stored(events(1, 5))
        disk.on_sync = wait
        hung = [run.accept(events(first, first)) for first in range(6, 11)]
        await until(lambda: run.journal.trouble is not None)
        assert run.journal.trouble is not None
        assert "the disk has not answered" in run.journal.trouble
        with pytest.raises(Busy, match="the disk has not answered"):
            run.accept(events(11, 11))
        assert not any(receipt.done for receipt in hung)
        disk.heal()
        released.set()
        await until(lambda: all(receipt.all_delivered for receipt in hung))
        await restored(run)
        await run.empty()
        assert run.taken("main") == ids(1, 10)


async def test_what_waits_for_a_slow_disk_is_bounded(tmp_path: Path, disk: FailingDisk) -> None:
    released = threading.Event()

    def wait(name: str) -> int:
        released.wait(30)
        return OK

    async with journaled(tmp_path) as run:
        disk.on_sync = wait
        waiting: list[Receipt] = []
        refusal = None
        while refusal is None and len(waiting) < 100:
            try:
                waiting.append(run.accept(events(len(waiting) + 1, len(waiting) + 1, size=1_000_000)))
            except Busy as busy:
                refusal = busy
        assert refusal is not None
        assert str(refusal) == "the journal's disk is behind"
        assert refusal.retry_after >= 1
        assert run.journal.state.queued_bytes <= 32 * 2**20
        disk.heal()
        released.set()
        await asyncio.gather(*(_all(receipt) for receipt in waiting))
        await run.empty()
        assert run.taken("main") == ids(1, len(waiting))


async def _all(receipt: Receipt) -> None:
    await until(lambda: receipt.all_delivered)


async def test_a_full_journal_refuses_until_there_is_room(tmp_path: Path, disk: FailingDisk) -> None:
    async with journaled(tmp_path, main="memory: 1MiB", journal="max_bytes: 16MiB, min_free: 0") as run:
        run.sinks["main"].hold()
        stored = 0
        while run.journal.trouble is None:
            await run.stored(events(stored + 1, stored + 1, size=500_000))
            stored += 1
        assert stored > 10
        with pytest.raises(Busy, match=r"journal\.max_bytes = 16777216"):
            run.accept(events(stored + 1, stored + 1))
        run.sinks["main"].deliver()
        await restored(run)
        await run.stored(events(stored + 1, stored + 1))
        await run.empty()
        assert run.taken("main") == ids(1, stored + 1)


async def test_a_journal_of_the_least_size_takes_many_times_its_size(tmp_path: Path, disk: FailingDisk) -> None:
    async with journaled(tmp_path, journal="max_bytes: 16MiB, min_free: 0") as run:
        for number in range(1, 101):
            await until(lambda: run.journal.trouble is None)
            await run.stored(events(number, number, size=500_000))
        await run.empty()
        assert run.taken("main") == ids(1, 100)


async def test_a_disk_without_free_space_is_refused(tmp_path: Path, disk: FailingDisk) -> None:
    async with journaled(tmp_path, journal="min_free: 1000TiB") as run:
        await until(lambda: run.journal.trouble is not None)
        with pytest.raises(Busy, match=r"less than journal\.min_free"):
            run.accept(events(1, 1))
