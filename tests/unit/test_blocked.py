"""A destination whose calls block holds up no other sink, keeps nothing that was given up, and lets the service go."""

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.outcome import DELIVERED, Outcome
from service.sinks.contract import Batch
from service.sinks.file import File
from service.threads import off_loop
from tests.contract.harness import event


def sink(folder: Path) -> File:
    return File("file", File.Config(type="file", path=folder))


def lines(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted(folder.iterdir()))


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
            async with sink(tmp_path) as file, asyncio.timeout(30):
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
        await asyncio.sleep(0)
        await off_loop(lambda: None)
        assert not probe.done()
        disk.set()
        await write
        await probe


async def test_a_write_does_not_have_the_folder_while_a_probe_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sink(tmp_path) as file:
        probing, go_on = threading.Event(), threading.Event()
        folder, calls = file._folder, []
        enter, append = folder.enter, folder.append

        def slow_enter() -> None:
            calls.append("enter")
            probing.set()
            go_on.wait(30)
            enter()

        def seen_append(batches: Sequence[Batch]) -> list[list[Outcome]]:
            calls.append("append")
            return append(batches)

        monkeypatch.setattr(folder, "enter", slow_enter)
        monkeypatch.setattr(folder, "append", seen_append)
        probe = asyncio.create_task(file.probe())
        assert await off_loop(probing.wait, 10)
        write = asyncio.create_task(file.write(Batch([event(1)])))
        await asyncio.sleep(0)
        await off_loop(lambda: None)
        assert calls == ["enter"]
        go_on.set()
        await probe
        assert await write == [DELIVERED]


async def test_leaving_a_disk_that_hangs_ends(
    tmp_path: Path, disk: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.sinks.file.LEAVING_SECONDS", 0.1)
    file = await sink(tmp_path).__aenter__()
    disk.clear()
    write = asyncio.create_task(file.write(Batch([event(1)])))
    await asyncio.sleep(0)
    write.cancel()
    async with asyncio.timeout(30):
        await file.__aexit__(None, None, None)
    disk.set()
    assert file._writer is not None
    await file._writer
    assert file._rotation is None, "nothing of a sink that was left wakes it again"


async def test_leaving_plans_nothing_though_a_write_is_under_way(tmp_path: Path, disk: threading.Event) -> None:
    file = await sink(tmp_path).__aenter__()
    disk.clear()
    write = asyncio.create_task(file.write(Batch([event(1)])))
    await asyncio.sleep(0)
    leaving = asyncio.create_task(file.__aexit__(None, None, None))
    await asyncio.sleep(0)
    disk.set()
    await leaving
    assert await write == [DELIVERED]
    assert file._rotation is None


async def test_off_loop_gives_results_and_errors_back() -> None:
    assert await off_loop(sum, [1, 2, 3]) == 6
    with pytest.raises(ZeroDivisionError):
        await off_loop(divmod, 1, 0)


class Closing(asyncio.SelectorEventLoop):
    """To other threads it looks open: it closes just after they look."""

    def is_closed(self) -> bool:
        return threading.current_thread() is threading.main_thread() and super().is_closed()

    def __del__(self) -> None:
        """Says nothing: it was closed, whichever thread collects it."""


def test_a_call_that_ends_when_the_loop_has_closed_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    trouble: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", trouble.append)
    go_on, threads = threading.Event(), list[threading.Thread]()

    def blocking() -> None:
        threads.append(threading.current_thread())
        go_on.wait(30)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await off_loop(blocking)
        await off_loop(lambda: None)

    with asyncio.Runner(loop_factory=Closing) as runner:
        loop = runner.get_loop()
        runner.run(give_up())
    assert loop.is_closed()
    go_on.set()
    [thread] = threads
    thread.join(30)
    assert not thread.is_alive()
    assert trouble == []
