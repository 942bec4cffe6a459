"""The file sink: rotation, recovery after a crash, several processes in one folder, and disks that fail."""

import asyncio
import errno
import os
import shutil
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from service.outcome import Delivered, Outcome, Reason, Retry
from service.sinks.contract import Batch
from service.sinks.file import File
from service.sinks.file_folder import Folder
from tests.contract.harness import event


def sink(path: Path, **settings: Any) -> File:
    return File("file", File.Config(type="file", path=path, **settings))


async def write(to: File, *bodies: bytes) -> list[Outcome]:
    return list(await to.write(Batch([event(n, body) for n, body in enumerate(bodies)])))


def finished(path: Path) -> list[list[bytes]]:
    """The lines of each finished file, oldest first."""
    return [file.read_bytes().splitlines() for file in sorted(path.glob("*.ndjson"))]


async def appears(path: Path, pattern: str) -> None:
    async with asyncio.timeout(30):
        while not list(path.glob(pattern)):
            await asyncio.sleep(0.005)


async def test_a_file_is_finished_when_it_is_large_enough(tmp_path: Path) -> None:
    async with sink(tmp_path, max_bytes=8) as file:
        for body in (b"[1]", b"[2]", b"[3]"):
            await write(file, body)
        assert finished(tmp_path) == [[b"[1]", b"[2]"]]
        assert len(list(tmp_path.glob("*.open"))) == 1
    assert finished(tmp_path) == [[b"[1]", b"[2]"], [b"[3]"]]
    assert not list(tmp_path.glob("*.open"))


async def test_a_file_is_finished_when_it_is_old_enough_though_nothing_is_written_any_more(tmp_path: Path) -> None:
    async with sink(tmp_path, max_age=0.02) as file:
        await write(file, b"[1]")
        await appears(tmp_path, "*.ndjson")
        await write(file, b"[2]")
    assert finished(tmp_path) == [[b"[1]"], [b"[2]"]]


async def test_a_torn_last_line_is_cut_off_and_the_file_finished_at_the_next_start(tmp_path: Path) -> None:
    long = b'"%s"' % (b"x" * 200_000)
    (tmp_path / "20260101T000000Z-0.ndjson.open").write_bytes(b"[1]\n[2]\n" + long)
    (tmp_path / "20260101T000001Z-0.ndjson.open").write_bytes(b'{"torn":')
    async with sink(tmp_path) as file:
        assert finished(tmp_path) == [[b"[1]", b"[2]"]]
        assert not list(tmp_path.glob("*.open"))
        await write(file, b"[3]")
    assert finished(tmp_path) == [[b"[1]", b"[2]"], [b"[3]"]]


async def test_sinks_share_a_folder_and_none_touches_the_open_file_of_another(tmp_path: Path) -> None:
    async with sink(tmp_path) as first, sink(tmp_path) as second:
        await write(first, b"[1]")
        await write(second, b"[2]")
        await second.probe()
        async with sink(tmp_path):
            pass
        assert len(list(tmp_path.glob("*.open"))) == 2
        await write(first, b"[3]")
    assert sorted(finished(tmp_path)) == [[b"[1]", b"[3]"], [b"[2]"]]


async def test_what_a_process_left_when_it_was_killed_is_finished_by_one_that_goes_on(tmp_path: Path) -> None:
    async with sink(tmp_path, max_bytes=1) as goes_on:
        await write(goes_on, b"[1]")
        killed = Folder(tmp_path, 1000, 1000.0)
        killed.append([Batch([event(1, b"[2]")])])
        await write(goes_on, b"[3]")
        assert len(list(tmp_path.glob("*.open"))) == 1, "its process lives"
        killed._close()  # as the system does with the files of a process that ends
        await write(goes_on, b"[4]")
        assert not list(tmp_path.glob("*.open"))
    assert sorted(finished(tmp_path)) == [[b"[1]"], [b"[2]"], [b"[3]"], [b"[4]"]]


async def test_a_finished_file_is_never_replaced_by_another_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 1, 1, 0, 0, 0, 3, 1, 0)))
    (tmp_path / "20260101T000000Z-0.ndjson").write_bytes(b"[0]\n")
    for _ in range(2):
        async with sink(tmp_path) as file:
            await write(file, b"[1]")
    assert finished(tmp_path) == [[b"[0]"], [b"[1]"], [b"[1]"]]


async def test_raw_newlines_in_json_become_spaces(tmp_path: Path) -> None:
    async with sink(tmp_path) as file:
        await write(file, b'{\r\n "a": "\\n"\n}')
    assert finished(tmp_path) == [[b'{   "a": "\\n" }']]


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    async with sink(folder) as file:
        await write(file, b"[1]")
    [made] = folder.glob("*.ndjson")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_writes_that_come_together_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with sink(tmp_path) as file:
        await write(file, b"[0]")
        synced: list[int] = []
        monkeypatch.setattr(os, "fsync", synced.append)
        await asyncio.gather(*(write(file, b"[%d]" % n) for n in range(20)))
        assert 1 <= len(synced) <= 2
        monkeypatch.undo()
    assert len(finished(tmp_path)[0]) == 21


async def test_nothing_is_delivered_before_it_is_synced_and_a_failed_sync_leaves_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int) -> None:
        del descriptor
        raise OSError(errno.EIO, "Input/output error")

    async with sink(tmp_path) as file:
        await write(file, b"[1]")
        monkeypatch.setattr(os, "fsync", broken)
        [outcome] = await write(file, b"[2]")
        monkeypatch.undo()
        assert isinstance(outcome, Retry)
        assert outcome.reason is Reason.UNAVAILABLE
        assert [type(o) for o in await write(file, b"[3]")] == [Delivered]
    assert finished(tmp_path) == [[b"[1]"], [b"[3]"]]


async def test_a_removed_folder_is_made_again_and_nothing_is_written_to_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    async with sink(folder) as file:
        await write(file, b"[1]")
        shutil.rmtree(folder)
        assert [type(o) for o in await write(file, b"[2]")] == [Delivered]
    assert finished(folder) == [[b"[2]"]]


async def test_a_removed_file_is_not_written_to_any_more(tmp_path: Path) -> None:
    async with sink(tmp_path) as file:
        await write(file, b"[1]")
        [open_file] = tmp_path.glob("*.open")
        open_file.unlink()
        await write(file, b"[2]")
    assert finished(tmp_path) == [[b"[2]"]]


async def test_a_write_given_up_leaves_those_beside_it_whole(tmp_path: Path) -> None:
    async with sink(tmp_path) as file:
        given_up = asyncio.ensure_future(write(file, b"[1]"))
        kept = asyncio.ensure_future(write(file, b"[2]"))
        await asyncio.sleep(0)
        given_up.cancel()
        assert [type(o) for o in await kept] == [Delivered]
        assert given_up.cancelled()
    assert b"[2]" in finished(tmp_path)[0]
