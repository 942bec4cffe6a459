"""The list of settled letters after any end of a run, and a file sink's folder beside the service that writes to it."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.dlq.file import FileReader
from service.dlq.reader import Stored, StoreError, unsettled
from service.dlq.settled import InUseError, Settled, file_of
from service.event import NO_ATTRIBUTES, Event, Origin
from service.sinks.contract import Batch
from service.sinks.file import File
from service.sinks.file_folder import Folder


def test_what_was_added_is_there_after_a_run_that_never_ended(tmp_path: Path) -> None:
    path = tmp_path / "state" / "a.settled"
    killed = Settled(path, writing=True).__enter__()
    killed.add("1:2@3")
    killed.add('new\nline "é"')
    killed.add("gone")
    killed.forget(["gone", "never"])
    with Settled(path, writing=False) as read:
        assert ("1:2@3" in read, 'new\nline "é"' in read, "gone" in read, len(read)) == (True, True, False, 2)
    killed.__exit__()


def test_a_line_that_was_cut_off_is_nothing_and_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.settled"
    path.write_bytes(b'+"one"\n+"tw')
    with Settled(path, writing=True) as settled:
        assert len(settled) == 1
        settled.add("three")
    with Settled(path, writing=False) as settled:
        assert ("one" in settled, "three" in settled, len(settled)) == (True, True, 2)


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_is_told_and_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.settled"
    with Settled(path, writing=True) as settled:
        settled.add("one")
        with full_disk(path.stat().st_size + 3), pytest.raises(StoreError, match="cannot be written, so the run ends"):
            settled.add("two")
        assert "two" not in settled
        assert path.read_bytes() == b'+"one"\n'
        with full_disk(path.stat().st_size + 3), pytest.raises(StoreError):
            settled.forget(["one"])
        settled.add("three")
    with Settled(path, writing=False) as settled:
        assert ("one" in settled, "two" in settled, "three" in settled) == (True, False, True)


def test_two_runs_at_once_are_refused_and_a_reader_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.settled"
    with (
        Settled(path, writing=True),
        Settled(path, writing=False),
        pytest.raises(InUseError, match="another run works on these dead letters"),
    ):
        Settled(path, writing=True).__enter__()
    with Settled(path, writing=True):
        pass


def test_a_list_of_nothing_takes_no_room(tmp_path: Path) -> None:
    path = tmp_path / "a.settled"
    with Settled(path, writing=True) as settled:
        settled.add("one")
        settled.forget(["one"])
    assert path.stat().st_size == 0


def test_stores_that_share_a_sinks_name_do_not_share_a_list(tmp_path: Path) -> None:
    assert file_of(tmp_path, "dead", "sqs:a") != file_of(tmp_path, "dead", "sqs:b")


class Written:
    """A folder that a running service has open, and a reader beside it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "dead"
        self.state = folder / "dead.settled"
        self.folder = Folder(self.path, max_bytes=64, max_age=3600)
        self.folder.enter()

    def write(self, *bodies: bytes) -> None:
        events = [Event("", "", None, body, "", NO_ATTRIBUTES, Origin("http", 0)) for body in bodies]
        self.folder.append([Batch(events)])

    async def remove(self, *bodies: bytes) -> list[str]:
        """Settle these, and return the reader's notes."""
        with Settled(self.state, writing=True) as settled:
            reader = FileReader("dead", File.Config(type="file", path=self.path), settled)
            async with reader:
                async for stored in unsettled(reader, settled, removing=True):
                    if stored.raw in bodies:
                        settled.add(stored.position)
                        await reader.remove(stored)
        return reader.notes

    async def left(self) -> list[bytes]:
        """What is not settled."""
        with Settled(self.state, writing=False) as settled:
            reader = FileReader("dead", File.Config(type="file", path=self.path), settled)
            return [stored.raw async for stored in unsettled(reader, settled, removing=False)]

    def lines(self) -> list[bytes]:
        """What stands in the files."""
        paths = sorted(self.path.iterdir())
        return [line for path in paths for line in path.read_bytes().splitlines()]


BIG = [b'"%d%s"' % (number, b"x" * 40) for number in range(4)]


async def test_settled_lines_leave_finished_files_and_the_open_one_stays_as_it_is(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.write(*BIG[:2])  # finished: 64 bytes are passed
    written.write(b'"open 1"', b'"open 2"')
    (finished,) = written.path.glob("*.ndjson")
    finished.chmod(0o640)
    notes = await written.remove(BIG[0], b'"open 1"')
    assert "1 settled are in a file that is still written to" in notes[0]
    assert written.lines() == [BIG[1], b'"open 1"', b'"open 2"']
    assert finished.stat().st_mode & 0o777 == 0o640
    assert await written.left() == [BIG[1], b'"open 2"']

    written.write(*BIG[2:])  # the service goes on, and finishes the file
    assert await written.remove(BIG[1]) == []
    assert written.lines() == [b'"open 2"', *BIG[2:]]
    assert written.state.read_bytes() == b"", "nothing that is gone is remembered"
    assert await written.left() == [b'"open 2"', *BIG[2:]]
    written.folder.leave()


async def test_a_file_of_which_nothing_is_left_goes(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.write(*BIG)
    assert await written.remove(*BIG) == []
    assert list(written.path.iterdir()) == []
    written.folder.leave()


async def test_a_line_without_its_end_is_not_read_and_the_same_line_twice_is_one_letter(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.write(BIG[0], BIG[0])
    written.write(b'"open"')
    (open_file,) = written.path.glob("*.open")
    with open_file.open("ab") as file:
        file.write(b'"half')
    assert await written.left() == [BIG[0], b'"open"']
    await written.remove(BIG[0])
    assert not list(written.path.glob("*.ndjson"))
    written.folder.leave()


async def test_a_file_that_is_finished_while_it_is_read_is_found_under_its_new_name(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.write(*BIG[:2])
    written.write(b'"open"')
    found: list[Stored] = []
    with Settled(written.state, writing=False) as settled:
        async for stored in FileReader("dead", File.Config(type="file", path=written.path), settled).letters():
            if not found:
                written.folder.leave()
            found.append(stored)
    assert [stored.raw for stored in found] == [*BIG[:2], b'"open"']


async def test_a_folder_that_cannot_be_written_to_loses_no_settled_letter(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.write(*BIG[:2])
    (finished,) = written.path.glob("*.ndjson")
    # in the place of the new file stands a folder, which no user can open for writing
    os.mkdir(finished.with_name(f".{finished.name}.rewritten"))
    (note,) = await written.remove(BIG[0])
    assert "settled letters are still in" in note
    assert await written.left() == [BIG[1]]
    written.folder.leave()
