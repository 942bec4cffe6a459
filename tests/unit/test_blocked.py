"""A destination whose calls block holds up no other sink, keeps nothing that was given up, and lets the service go."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.outcome import DELIVERED
from service.sinks.contract import Batch
from service.sinks.file import File
from service.threads import off_loop
from tests.contract.harness import event


def sink(folder: Path) -> File:
    return File("file", File.Config(type="file", path=folder))


def lines(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted(folder.iterdir()) if path.name != ".lock")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set while the disk answers; cleared, every fsync waits."""
    answers = threading.Event()
    answers.set()
    really = os.fsync

    def fsync(descriptor: int) -> None:
        answers.wait(30)
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    yield answers
    answers.set()


async def test_a_file_is_written_though_every_thread_of_the_loop_is_busy(tmp_path: Path) -> None:
    release = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        busy = asyncio.get_running_loop().run_in_executor(None, release.wait, 30)
        try:
            async with sink(tmp_path) as file, asyncio.timeout(10):
                assert await file.write(Batch([event(1)])) == [DELIVERED]
                await file.probe()
        finally:
            release.set()
            await busy


async def test_what_was_given_up_while_the_disk_hung_is_neither_kept_nor_written(
    tmp_path: Path, disk: threading.Event
) -> None:
    async with sink(tmp_path) as file:
        disk.clear()
        under_way = asyncio.create_task(file.write(Batch([event(1)])))
        await asyncio.sleep(0)
        given_up = [asyncio.create_task(file.write(Batch([event(n)]))) for n in range(2, 20)]
        await asyncio.sleep(0)
        for write in given_up:
            write.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        assert file._waiting == []
        disk.set()
        assert await under_way == [DELIVERED]
    assert lines(tmp_path) == '{"number":1}\n'


async def test_a_disk_that_hangs_has_not_come_back_because_its_folder_is_there(
    tmp_path: Path, disk: threading.Event
) -> None:
    async with sink(tmp_path) as file:
        disk.clear()
        write = asyncio.create_task(file.write(Batch([event(1)])))
        await asyncio.sleep(0)
        probe = asyncio.create_task(file.probe())
        done, _ = await asyncio.wait({probe}, timeout=0.2)
        assert not done
        disk.set()
        await write
        await probe


async def test_leaving_a_disk_that_hangs_ends(
    tmp_path: Path, disk: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.sinks.file.LEAVING_SECONDS", 0.1)
    file = await sink(tmp_path).__aenter__()
    disk.clear()
    write = asyncio.create_task(file.write(Batch([event(1)])))
    await asyncio.sleep(0)
    write.cancel()
    async with asyncio.timeout(10):
        await file.__aexit__(None, None, None)
    disk.set()
    assert file._writer is not None
    await file._writer


async def test_off_loop_gives_results_and_errors_back() -> None:
    assert await off_loop(sum, [1, 2, 3]) == 6
    with pytest.raises(ZeroDivisionError):
        await off_loop(divmod, 1, 0)
