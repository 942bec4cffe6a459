"""Files that are looked at: a change of what is in them is told, and nothing else."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from service import watched
from service.watched import MOST_LOOKS, Watched, content
from tests.files import rewrite


class Told:
    """Counts how often a change was told."""

    def __init__(self) -> None:
        self.count = 0
        self.again = asyncio.Event()

    async def changed(self) -> None:
        self.count += 1
        self.again.set()

    async def reaches(self, count: int) -> None:
        """Return once told so often."""
        async with asyncio.timeout(30):
            while self.count < count:
                self.again.clear()
                await self.again.wait()


async def test_each_change_is_told_once_whatever_it_is(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    told = Told()
    async with Watched([one, other], told.changed, 0.001):
        rewrite(one, "2")
        await told.reaches(1)
        rewrite(other, "there")
        await told.reaches(2)
        one.unlink()
        await told.reaches(3)
        rewrite(one, "2")
        await told.reaches(4)
        rewrite(one, "3")
        await told.reaches(5)
    assert told.count == 5


async def test_a_link_that_points_elsewhere_is_a_change(tmp_path: Path) -> None:
    for version in ("..1", "..2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "key").write_text(version)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "key").symlink_to("..data/key")
    told = Told()
    async with Watched([tmp_path / "key"], told.changed, 0.001):
        (tmp_path / "..new").symlink_to("..2")
        os.replace(tmp_path / "..new", tmp_path / "..data")
        await told.reaches(1)


async def test_a_file_that_is_touched_or_written_the_same_is_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, mark = tmp_path / "key", tmp_path / "mark"
    path.write_text("1")
    marked: list[bool] = []
    told = Told()
    over = asyncio.Event()

    async def changed() -> None:
        marked.append(mark.exists())
        await told.changed()

    watched = Watched([path, mark], changed, 0.001)
    touched, differs, compared = watched._touched, watched._differs, 0
    loop = asyncio.get_running_loop()

    def looking() -> bool:
        if compared:
            loop.call_soon_threadsafe(over.set)
        return touched()

    def comparing() -> bool:
        nonlocal compared
        compared += 1
        return differs()

    monkeypatch.setattr(watched, "_touched", looking)
    monkeypatch.setattr(watched, "_differs", comparing)
    async with watched:
        path.touch()
        rewrite(path, "1")
        async with asyncio.timeout(30):
            await over.wait()  # and it looks again
        mark.write_text("")
        await told.reaches(1)
    assert marked == [True]


async def test_what_is_being_written_is_read_when_it_has_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    looks = 0
    seen: list[tuple[bool, str]] = []

    async def changed() -> None:
        seen.append((other.exists(), one.read_text()))
        await told.changed()

    told = Told()
    watched = Watched([one, other], changed, 0.001)
    touched = watched._touched

    def writing() -> bool:
        """Looks, and writes some more."""
        nonlocal looks
        found = touched()
        looks += 1
        if looks <= 3:
            rewrite(one, "parts"[: 1 + looks])
        if looks == 4:
            rewrite(other, "its pair")
        return found

    monkeypatch.setattr(watched, "_touched", writing)
    async with watched:
        rewrite(one, "p")
        await told.reaches(1)
    assert seen == [(True, "part")]


async def test_what_could_not_be_read_is_tried_again_without_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    path.write_text("1")
    told = Told()
    failing = [OSError(errno.EMFILE, "too many open files")] * 3

    def reading(at: Path) -> bytes:
        if failing:
            raise failing.pop()
        return at.read_bytes()

    watched = Watched([path], told.changed, 0.001)
    monkeypatch.setattr("service.watched.content", reading)
    async with watched:
        rewrite(path, "2")
        await told.reaches(2)
    assert not failing


async def test_who_writes_without_an_end_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_text("0")
    told = Told()
    watched = Watched([path], told.changed, 0.001)
    touched, looks = watched._touched, 0

    def writing() -> bool:
        nonlocal looks
        looks += 1
        rewrite(path, str(looks))
        return touched()

    monkeypatch.setattr(watched, "_touched", writing)
    async with watched:
        await told.reaches(2)
    assert looks >= 2 * MOST_LOOKS


async def test_what_changes_before_the_first_look_is_told(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("1")
    told = Told()
    watched = Watched([path], told.changed, 0.001)
    rewrite(path, "2")
    async with watched:
        await told.reaches(1)


def test_a_part_of_a_file_that_is_too_large_is_not_taken_for_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "MOST_BYTES", 4)
    (tmp_path / "key").write_bytes(b"1234")
    assert content(tmp_path / "key") == b"1234"
    (tmp_path / "key").write_bytes(b"12345")
    with pytest.raises(OSError, match="more than 4 bytes"):
        content(tmp_path / "key")
