"""A start on a folder that cannot be used ends with a sentence that says what to do, and deletes nothing."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from service.building import build
from service.config import load
from service.errors import ConfigError
from service.telemetry.meter import Meter
from tests.disk.vfs import FULL, IOERR_FSYNC, IOERR_WRITE, FailingDisk, watched
from tests.flow.journaled import events, journaled, open_files, until
from tests.unit.written import write

TEXT = """
journal: {path: journal, volume: VOLUME, min_free: 0}
sinks: {main: {type: memory}, dead: {type: memory}}
routes: {r: {ack: stored, dead_letter: dead, to: [main]}}
"""
FOLDER = Path("journal", "worker-0")


async def started(folder: Path, volume: str = "ephemeral") -> None:
    """Start, and end."""
    config = load(write(folder, TEXT.replace("VOLUME", volume)), {})
    async with AsyncExitStack() as stack:
        await build(config, Meter(), stack)


async def refusal(folder: Path, volume: str = "ephemeral") -> str:
    """The only mistake that a start tells. What lay there is there, and nothing is held open."""
    place = folder / FOLDER

    def contents() -> dict[str, bytes]:
        if not place.is_dir():
            return {}
        left_out = ("lock", "-shm")
        return {each.name: each.read_bytes() for each in place.iterdir() if not each.name.endswith(left_out)}

    before = contents()
    with pytest.raises(ConfigError) as caught:
        await started(folder, volume)
    assert contents() == before
    assert not open_files(folder)
    [mistake] = caught.value.mistakes
    assert mistake.startswith("journal.path: ")
    return mistake


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of the journal, with nothing in it."""
    (tmp_path / FOLDER).mkdir(parents=True)
    return tmp_path / FOLDER


def script(path: Path, text: str) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.executescript(text)


async def test_a_file_of_something_else(tmp_path: Path, place: Path) -> None:
    script(place / "journal.db", "CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    assert "is a file of something else: give the journal a folder of its own" in await refusal(tmp_path)


async def test_a_file_of_a_later_version(tmp_path: Path, place: Path) -> None:
    await started(tmp_path)
    script(place / "journal.db", "PRAGMA user_version = 9")
    assert "was written by a later version (9; this one knows 1): run that one" in await refusal(tmp_path)


@pytest.mark.parametrize("garbage", [b"garbage " * 4000, bytes(10_000)])
async def test_garbage(tmp_path: Path, place: Path, garbage: bytes) -> None:
    (place / "journal.db").write_bytes(garbage)
    assert "move the file away to start with an empty journal, and keep it" in await refusal(tmp_path)


async def test_a_log_without_its_file(tmp_path: Path, place: Path) -> None:
    (place / "journal.db-wal").write_bytes(b"a log " * 1000)
    assert "is missing, and journal.db-wal beside it holds events" in await refusal(tmp_path)


async def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file")
    assert "cannot be used: " in await refusal(tmp_path)


@pytest.mark.parametrize("name", ["lock", "journal.db"])
async def test_a_folder_where_a_file_should_be(tmp_path: Path, place: Path, name: str) -> None:
    (place / name).mkdir()
    with pytest.raises(ConfigError, match=r"journal\.path: "):
        await started(tmp_path)
    assert not open_files(tmp_path)


async def test_events_of_a_sink_that_is_gone(tmp_path: Path) -> None:
    async with journaled(tmp_path) as run:
        run.sinks["main"].hang()
        await run.stored(events(1, 3))
    text = "journal: {path: journal, volume: ephemeral}\nsinks: {dead: {type: memory}, b: {type: memory}}\n"
    config = load(write(tmp_path, text + "routes: {r: {ack: stored, dead_letter: dead, to: [b]}}"), {})
    with pytest.raises(ConfigError, match=r"holds 3 events of route 'r' for sink 'main'.*put it back"):
        async with AsyncExitStack() as stack:
            await build(config, Meter(), stack)
    assert not open_files(tmp_path)
    async with journaled(tmp_path) as run:
        await until(lambda: len(run.taken("main")) == 3)


@pytest.mark.parametrize("code", [FULL, IOERR_WRITE])
async def test_a_disk_on_which_it_cannot_be_made(tmp_path: Path, place: Path, code: int) -> None:
    disk = FailingDisk()
    with watched(place, disk):
        disk.on_write = lambda name: code
        with pytest.raises(ConfigError, match=r"journal\.path: .* cannot be opened: "):
            await started(tmp_path)
        disk.heal()
        disk.on_sync = lambda name: IOERR_FSYNC
        with pytest.raises(ConfigError, match=r"journal\.path: .* cannot be opened: "):
            await started(tmp_path)
        disk.heal()
        await started(tmp_path)


async def test_a_full_disk_starts_with_what_is_stored_there(tmp_path: Path, place: Path) -> None:
    disk = FailingDisk()
    with watched(place, disk):
        async with journaled(tmp_path) as run:
            run.sinks["main"].hang()
            await run.stored(events(1, 3))
        disk.on_write = lambda name: FULL
        async with journaled(tmp_path) as run:
            await until(lambda: len(run.taken("main")) == 3)
            await until(lambda: run.journal.trouble is not None)
            disk.heal()
            await run.empty()


HOLDING = """
import sys, time
from pathlib import Path
from service.journal.volume import Lock
kept = Lock.of(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_folder_that_another_process_uses(tmp_path: Path, place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert await asyncio.to_thread(other.stdout.readline) == b"held\n"
        said = await refusal(tmp_path)
        assert f"is used by another process ({other.pid}): one at a time" in said
    await started(tmp_path)


async def test_a_file_system_that_is_gone_with_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 0:1 / / rw - tmpfs none rw\n")
    monkeypatch.setattr("service.journal.volume.file_system.__defaults__", (mounts,))
    assert "write `volume: ephemeral` if events may be lost with it" in await refusal(tmp_path, "persistent")
