"""The thread that commits: one transaction for all who wait, in the order of their coming, and nothing ends it."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.event import NO_ATTRIBUTES, Event, Origin
from service.journal import record, writer
from service.journal.reader import Reader
from service.journal.store import Store
from service.journal.writer import COMMIT_BYTES, ROW_BYTES, Committed, Request, Usage, Writer
from tests.disk.vfs import OK, FailingDisk, watched
from tests.flow.journaled import until

ORIGIN = Origin("test", 0.0, "127.0.0.1", "r1")


def request(first: int, events: int = 1, stream: int = 1, size: int = 100, name: str = "e") -> Request:
    """A request for consecutive positions."""
    made = [Event(f"{name}{first + at}", "r", None, b"x", "text/plain", NO_ATTRIBUTES, ORIGIN) for at in range(events)]
    return Request(stream, first, made, size)


class Run:
    """A writer, and what it told."""

    def __init__(self, path: Path, disk: FailingDisk) -> None:
        self.store = store = Store.open(path)
        store.arrange({"r": {"a": True}, "s": {"a": True}})
        self.path = path
        self.disk = disk
        self.commits: list[Committed] = []
        self.usages: list[Usage] = []
        self._held = threading.Event()
        loop = asyncio.get_running_loop()
        self.writer = Writer(path, store, loop, self.commits.append, self.usages.append)

    async def hold(self) -> None:
        """Return while a commit waits for the disk."""
        held, begun = threading.Event(), threading.Event()

        def wait(name: str) -> int:
            begun.set()
            held.wait(30)
            return OK

        self._held = held
        self.disk.on_sync = wait
        self.writer.put([request(1)])
        await until(begun.is_set)

    def release(self) -> None:
        """Let the disk go on."""
        self.disk.heal()
        self._held.set()

    async def stored(self, requests: int) -> None:
        """Return once so many were told."""
        await until(lambda: sum(len(each.requests) for each in self.commits) >= requests)

    def rows(self, stream: int = 1) -> list[tuple[int, list[str]]]:
        """First position and ids of each row."""
        reader = Reader(self.path)
        found = [(row.first, [e.id for e in record.decode(row.body, "r")]) for row in reader.rows(stream, 1, 2**30)]
        reader.close()
        return found


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Run]:
    """A writer that ends in the end."""
    disk = FailingDisk()
    with watched(folder, disk):
        run = Run(folder / "journal.db", disk)
        try:
            yield run
        finally:
            run.release()
            run.writer.close()


async def test_all_who_wait_share_one_transaction_and_one_row_in_their_order(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await run.hold()
        for first in range(2, 100):
            run.writer.put([request(first)])
        run.writer.put([request(1, 3, stream=2, name="s")])
        run.release()
        await run.stored(100)
        assert [len(each.requests) for each in run.commits] == [1, 99]
        assert run.rows() == [(1, ["e1"]), (2, [f"e{each}" for each in range(2, 100)])]
        assert run.rows(2) == [(1, ["s1", "s2", "s3"])]


async def test_rows_and_commits_are_bounded(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await run.hold()
        run.writer.put([request(first, size=ROW_BYTES // 2) for first in range(2, 6)])
        run.writer.put([request(first, size=COMMIT_BYTES) for first in range(6, 8)])
        run.release()
        await run.stored(7)
        assert [len(each.requests) for each in run.commits] == [1, 4, 1, 1]
        assert [first for first, _ in run.rows()] == [1, 2, 4, 6, 7]


async def test_positions_with_a_gap_are_rows_of_their_own(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await run.hold()
        run.writer.put([request(2, 2), request(5, 2)])
        run.release()
        await run.stored(3)
        assert [first for first, _ in run.rows()] == [1, 2, 5]


async def test_what_is_settled_is_committed_without_a_request(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        run.writer.put([request(1, 5)])
        await run.stored(1)
        run.writer.settle({1: [(1, 2)]})
        run.writer.settle({1: [(3, 5)]})
        await until(lambda: not run.rows())
        await until(lambda: bool(run.usages) and run.usages[-1].waiting == {1: 0, 2: 0})


async def test_closing_commits_what_is_there(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await run.hold()
        for first in range(2, 50):
            run.writer.put([request(first, size=COMMIT_BYTES // 3)])
        run.writer.settle({1: [(1, 1)]})
        run.release()
        run.writer.close()
        assert [id for _, ids in run.rows() for id in ids] == [f"e{each}" for each in range(2, 50)]
        await run.stored(49)


async def test_an_event_that_cannot_be_written_is_refused_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "AGAIN_SECONDS", 0.01)
    async with running(tmp_path) as run:
        run.writer.put([request(1, name="\ud800")])
        await run.stored(1)
        assert run.commits[0].error
        run.writer.put([request(2)])
        await run.stored(2)
        assert run.commits[-1].error is None
        assert run.rows() == [(2, ["e2"])]


async def test_a_file_that_cannot_even_begin_a_commit_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "AGAIN_SECONDS", 0.01)
    async with running(tmp_path) as run:
        run.writer.put([request(1)])
        await run.stored(1)
        # as with a volume that went away and is there again: what is open stays dead
        dead, alive = sqlite3.connect(":memory:"), run.store._sql
        dead.close()
        run.store._sql = dead  # the thread may be using the other: whoever closes it under it, SQLite crashes
        run.writer.put([request(2)])
        await run.stored(2)
        assert run.commits[-1].error
        alive.close()
        run.writer.put([request(3)])
        await run.stored(3)
        assert run.commits[-1].error is None
        assert run.rows() == [(1, ["e1"]), (3, ["e3"])]
