"""The journal's file: how it is opened, and what it says to what it is not."""

import os
import sqlite3
from pathlib import Path

import pytest

from service.journal.loading import Unusable
from service.journal.reader import Row
from service.journal.state import Append
from service.journal.store import Store

ROUTES = {"r": {"a": True, "b": True}}


def row(first: int, events: int = 1, size: int = 10) -> Append:
    """A row of the first stream."""
    return Append(1, Row(first, events, 1.0, b"x" * size))


def contents(folder: Path) -> dict[str, bytes]:
    """What is in a folder's files, but for what SQLite makes anew."""
    return {each.name: each.read_bytes() for each in folder.iterdir() if not each.name.endswith("-shm")}


def made(path: Path, script: str) -> None:
    """A database of somebody."""
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


def test_a_log_without_its_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    store = Store.open(path)
    store.arrange(ROUTES)
    store.commit([row(1)], {})
    log = (tmp_path / "journal.db-wal").read_bytes()
    store.close()
    path.unlink()
    (tmp_path / "journal.db-wal").write_bytes(log)
    before = contents(tmp_path)
    with pytest.raises(Unusable, match=r"journal\.db is missing, and journal\.db-wal beside it holds events"):
        Store.open(path)
    assert contents(tmp_path) == before


FOREIGN = {
    "somebody's database": ("CREATE TABLE t (x); INSERT INTO t VALUES (1)", "a file of something else"),
    "another application's, empty": ("PRAGMA application_id = 77", "a file of something else"),
    "a later version": ("PRAGMA application_id = 0x50535431; PRAGMA user_version = 2; CREATE TABLE t (x)", "later"),
}


@pytest.mark.parametrize(("script", "says"), FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_refused_with_a_sentence_and_left_alone(tmp_path: Path, script: str, says: str) -> None:
    path = tmp_path / "journal.db"
    made(path, script)
    before = contents(tmp_path)
    with pytest.raises(Unusable, match=says):
        Store.open(path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("garbage", [b"no database at all\n" * 99, bytes(8192), b"SQLite format 3\0" + bytes(9000)])
def test_garbage_is_refused_with_a_sentence_and_left_alone(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(garbage)
    with pytest.raises(Unusable, match=r"cannot be opened|something else"):
        Store.open(path)
    assert contents(tmp_path) == {"journal.db": garbage}


@pytest.mark.parametrize("harm", ["INSERT INTO settled VALUES (7, 1, 2)", "DROP TABLE batches", "DROP TABLE legs"])
def test_a_journal_that_makes_no_sense_is_refused_with_a_sentence(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "journal.db"
    with Store.open(path) as store:
        store.arrange(ROUTES)
    made(path, harm)
    with pytest.raises(Unusable, match="cannot be opened"):
        Store.open(path)


def test_what_cannot_be_opened_is_not_held_open(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    made(path, "CREATE TABLE t (x)")
    with pytest.raises(Unusable) as caught:
        Store.open(path)
    assert caught.traceback  # which holds the frames, and what they hold
    open_files = [os.path.realpath(f"/dev/fd/{each}") for each in os.listdir("/dev/fd")]
    assert str(path) not in open_files


def test_the_log_takes_an_eighth_of_a_small_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    log = tmp_path / "journal.db-wal"
    with Store.open(path, 8 * 10**6) as store:
        store.arrange(ROUTES)
        for first in range(1, 100):
            store.commit([row(first, size=50_000)], {leg: [(first, first)] for leg in (1, 2)})
        assert log.stat().st_size < 1_300_000
        assert store.used_bytes() < 1_500_000
    with Store.open(path) as store:
        assert store.streams["r"].last == 99
