"""What is said of a journal's folder: who uses it, what waits, what needs a person, and what of it can be read."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from service.config import Config, load
from service.event import NO_ATTRIBUTES, Event, Origin
from service.journal import record, showing
from service.journal.inspection import Survey, Waiting, is_orphan, survey, troubles, ways
from service.journal.opening import folders
from service.journal.reader import POSITIONS, Row
from service.journal.state import Append
from service.journal.store import Store
from service.journal.verification import verify
from service.journal.volume import Lock, in_use
from tests.unit.written import write

ROUTES = """
server: {workers: 2}
journal: {max_bytes: 32MiB, min_free: 1MiB, max_age: 1h}
sinks: {a: {type: memory}, dead: {type: memory}}
routes: {orders: {ack: stored, to: [a], dead_letter: dead}, others: {to: [a]}}
"""
QUIET = Survey(Path("worker-1"), 1, None, used_bytes=100, free_bytes=2**30, oldest_seconds=5.0)


def row(first: int, events: int, age: float = 0.0, size: int = 100) -> Row:
    """A row whose events have bodies of `size` bytes."""
    made = [
        Event(f"e{first + n}", "orders", None, b"x" * size, "text/plain", NO_ATTRIBUTES, Origin("http", 0.0))
        for n in range(events)
    ]
    return Row(first, events, time.time() - age, record.encode([made]))


def stored(folder: Path, *rows: Row, settled: tuple[tuple[int, int], ...] = ()) -> Path:
    """A worker's folder with these rows of the one route, and what its one sink has settled."""
    folder.mkdir(parents=True, exist_ok=True)
    with Store.open(folder / "journal.db") as store:
        store.arrange({"orders": {"a": True, "b": True}})
        stream = store.streams["orders"]
        store.commit([Append(stream.id, each) for each in rows], {stream.legs["a"].id: settled})
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(write(tmp_path, ROUTES), {})


def test_what_waits_is_told_by_sink_with_the_age_of_its_first(tmp_path: Path) -> None:
    folder = stored(tmp_path / "worker-7", row(1, 10, age=300), row(11, 5, age=60), settled=((1, 12), (14, 14)))
    found = survey(7, folder)
    assert (found.worker, found.holder, found.flaw) == (7, None, None)
    assert [(each.route, each.sink, each.events) for each in found.waiting] == [("orders", "a", 2), ("orders", "b", 15)]
    assert [round(each.oldest_seconds, -1) for each in found.waiting] == [60, 300]
    assert (round(found.oldest_seconds, -1), found.events) == (300, 17)
    assert found.used_bytes > 1000 < found.free_bytes


def test_only_folders_of_workers_with_a_journal_count(tmp_path: Path) -> None:
    for name in ("worker-10", "worker-2"):
        stored(tmp_path / name)
    for name in ("worker-x", "worker-3", "lost+found"):
        (tmp_path / name).mkdir()
    assert list(folders(tmp_path)) == [2, 10]
    assert folders(tmp_path / "nothing") == {}


def test_whose_a_folder_is_can_be_asked_without_taking_it(tmp_path: Path) -> None:
    folder = stored(tmp_path / "worker-0")
    assert not in_use(folder)
    assert not (folder / "lock").exists()
    lock = Lock.of(folder)
    assert lock is not None
    assert in_use(folder)
    assert Lock.of(folder) is None
    assert survey(0, folder).holder == str(os.getpid())
    lock.release()
    assert not in_use(folder)
    assert survey(0, folder).holder is None


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
def test_a_file_of_something_else_is_a_flaw(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "worker-0"
    folder.mkdir()
    (folder / "journal.db").write_bytes(content)
    assert survey(0, folder).flaw
    assert not verify(folder).sound


def test_tables_that_do_not_fit_together_are_a_flaw(tmp_path: Path) -> None:
    folder = stored(tmp_path / "worker-0", row(1, 10), settled=((1, 3),))
    with closing(sqlite3.connect(folder / "journal.db")) as sql, sql:
        sql.execute("DELETE FROM legs")
    assert survey(0, folder).flaw == "its tables do not fit together: there is no stream or leg 1"
    assert verify(folder).mistakes == ["its tables do not fit together: there is no stream or leg 1"]


def test_what_needs_a_person_is_told(config: Config) -> None:
    waits = (Waiting("orders", "a", 3, 4.0),)
    assert troubles(QUIET, config) == []
    assert troubles(replace(QUIET, waiting=waits), config) == []
    for change, words in (
        ({"worker": 2, "waiting": waits}, "no worker reads it until the next start, for there are 2"),
        ({"waiting": (Waiting("orders", "b", 3, 4.0),)}, "no way for what waits of route 'orders' for sink 'b'"),
        ({"waiting": (Waiting("nobody", "a", 3, 4.0),)}, "no way for what waits of route 'nobody' for sink 'a'"),
        ({"used_bytes": 16 * 2**20}, "full: it has its part of journal.max_bytes, 16MiB"),
        ({"free_bytes": 2**20 - 1}, "less free than journal.min_free, 1MiB"),
        ({"oldest_seconds": 3600.0}, "past journal.max_age, 1h"),
        ({"flaw": "file is not a database"}, "cannot be read: file is not a database"),
    ):
        (told,) = troubles(replace(QUIET, **change), config)
        assert words in told
    assert troubles(replace(QUIET, worker=2), config) == [], "an empty folder of a worker that is no more"
    adopted = replace(QUIET, worker=2, waiting=waits, holder="17")
    assert troubles(adopted, config) == [], "another worker delivers it"


def test_ways_are_those_of_all_routes_whatever_they_store_now(config: Config) -> None:
    assert ways(config) == {"orders": frozenset({"a"}), "others": frozenset({"a"})}
    assert not is_orphan(Waiting("orders", "a", 1, 0.0), ways(config))


def test_a_folder_is_shown_to_a_person() -> None:
    waiting = (Waiting("orders", "a", 1203, 200000.0), Waiting("logs", "archive", 2, 59.0))
    found = replace(QUIET, holder="17", used_bytes=3 * 2**29, waiting=waiting, oldest_seconds=200000.0)
    assert showing.text(found, ["full"]).splitlines() == [
        "worker-1: used by process 17; 1.5GiB used, 1.0GiB of the disk free; the oldest is 2d old",
        "  ROUTE   SINK     EVENTS  OLDEST",
        "  orders  a        1203    2d",
        "  logs    archive  2       59s",
        "  full",
    ]


def test_all_that_is_sound_is_counted(tmp_path: Path) -> None:
    found = verify(stored(tmp_path / "worker-0", row(1, 10), row(11, 5)))
    assert (found.sound, found.rows, found.events, found.mistakes) == (True, 2, 15, [])


def test_rows_that_overlap_lie_about_their_number_or_belong_to_nobody_are_told(tmp_path: Path) -> None:
    folder = stored(tmp_path / "worker-0", row(1, 10), row(11, 5))
    with closing(sqlite3.connect(folder / "journal.db")) as sql, sql:
        sql.execute("UPDATE batches SET place = place - 1 WHERE events = 5")
        sql.execute("UPDATE batches SET events = 11 WHERE events = 10")
        sql.execute(
            "INSERT INTO batches SELECT ? + 1, events, stored_at, checksum, body FROM batches LIMIT 1", (9 * POSITIONS,)
        )
    found = verify(folder)
    assert (found.rows, found.events, found.damaged_rows, found.damaged_events) == (1, 5, 2, 22)
    assert [each.split(": ", 1)[1] for each in found.mistakes] == [
        "11 events cannot be read: there are 10 in the row",
        "positions stand twice",
        "the row belongs to no route",
        "11 events cannot be read: there are 10 in the row",
    ]


def test_of_a_file_with_a_broken_page_all_rows_around_it_are_read(tmp_path: Path) -> None:
    folder = stored(tmp_path / "worker-0", *(row(n, 1) for n in range(1, 401)))
    path = folder / "journal.db"
    with closing(sqlite3.connect(path)) as sql:
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    page = len(data) // 8192 // 2 * 8192
    assert b"e" in data[page : page + 8192]
    data[page : page + 8192] = os.urandom(8192)
    path.write_bytes(data)
    found = verify(folder)
    assert not found.sound
    assert 300 < found.events < 400
    assert any("cannot be read in order" in each for each in found.mistakes)


def test_a_row_whose_body_is_on_a_broken_page_is_counted_and_so_are_all_others(tmp_path: Path) -> None:
    folder = stored(tmp_path / "worker-0", *(row(n, 1, size=100_000) for n in range(1, 21)))
    path = folder / "journal.db"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 8192 * 8192)
        assert file.read(8)[4:] == b"xxxx"
        file.seek(-8, os.SEEK_CUR)
        file.write(b"\xff" * 8192)
    found = verify(folder)
    assert (found.events, found.damaged_events) == (19, 1)
    assert any("1 event cannot be read: it is on a damaged page" in each for each in found.mistakes)
