"""The journal's reader: it opens the file wherever its path starts, and finds rows by the positions in them."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.journal.reader import Reader, Row, place
from service.journal.state import Append
from service.journal.store import PAGE_BYTES, Store


@pytest.mark.parametrize("name", ["journal.db", "a folder/100%/j.db"])
def test_a_path_beside_the_working_folder_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with Store.open(path):
        reader = Reader(path)
        assert reader.rows(1, 1, 1000) == []
        reader.close()
    assert os.listdir(path.parent)


def row(first: int, events: int, size: int = 100) -> Append:
    """A row of the first stream."""
    return Append(1, Row(first, events, 1.0, b"x" * size))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Of rows at 1 to 3, 4 to 6, 10 to 12 and 13 of one stream, and one of another."""
    path = tmp_path / "journal.db"
    with Store.open(path) as store:
        store.arrange({"r": {"a": True}, "s": {"a": True}})
        store.commit([row(1, 3), row(4, 3), row(10, 3), row(13, 1, 5000), Append(2, Row(1, 1, 1.0, b"s"))], {})
        found = Reader(path)
        yield found
        found.close()


def firsts(rows: list[Row]) -> list[int]:
    return [each.first for each in rows]


@pytest.mark.parametrize(
    ("position", "expected"),
    [(1, [1, 4, 10, 13]), (2, [1, 4, 10, 13]), (3, [1, 4, 10, 13]), (4, [4, 10, 13]), (6, [4, 10, 13]), (7, [10, 13]),
     (9, [10, 13]), (12, [10, 13]), (13, [13]), (14, [])],
)  # fmt: skip
def test_reading_begins_with_the_row_that_holds_a_position_or_the_next_one(
    reader: Reader, position: int, expected: list[int]
) -> None:
    assert firsts(reader.rows(1, position, 10**6)) == expected


def test_rows_are_read_up_to_so_many_bytes_but_one_at_least(reader: Reader) -> None:
    assert firsts(reader.rows(1, 1, 0)) == [1]
    assert firsts(reader.rows(1, 1, 200)) == [1, 4]
    assert firsts(reader.rows(1, 1, 250)) == [1, 4]
    assert firsts(reader.rows(1, 13, 1)) == [13]
    assert firsts(reader.rows(2, 1, 10**6)) == [1]
    assert [(each.last, each.events, each.sound) for each in reader.rows(1, 11, 1)] == [(12, 3, True)]


def test_a_row_that_is_not_what_was_written_is_told(tmp_path: Path, reader: Reader) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.db")) as file, file:
        file.execute("UPDATE batches SET body = 'y' WHERE place % 100 = ? % 100", (place(1, 4),))
    assert [each.sound for each in reader.rows(1, 1, 10**6)] == [True, False, True, True]


def test_a_row_on_a_damaged_page_is_told_and_hides_none_around_it(tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    with Store.open(path) as store:
        store.arrange({"r": {"a": True}})
        for first in (1, 4, 7):
            store.commit([row(first, 3, 10 * PAGE_BYTES)], {})
    with path.open("r+b") as file:
        # a page of the second row's body: its first bytes name the next one
        file.seek(path.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES)
        assert file.read(8)[4:] == b"xxxx"
        file.seek(-8, os.SEEK_CUR)
        file.write(b"\xff" * PAGE_BYTES)
    reader = Reader(path)
    with closing(reader):
        assert firsts(reader.rows(1, 1, 10**6)) == [1]
        assert [(each.first, each.last, each.sound) for each in reader.rows(1, 4, 10**6)] == [(4, 6, False)]
        assert firsts(reader.rows(1, 7, 10**6)) == [7]


def test_a_reader_keeps_no_log_from_being_cut(tmp_path: Path, reader: Reader) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.db")) as file:
        assert firsts(reader.rows(1, 1, 150)) == [1]
        assert file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
