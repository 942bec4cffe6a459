"""What a disk may hold after its power was lost: what was synced, and any part of what was not."""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from tests.disk.vfs import IOERR_FSYNC, OK, Disk

SECTOR_BYTES: Final = 512
PAGE_BYTES: Final = 4096
"""What an operating system writes at once."""


class Write(Struct, frozen=True):
    """Bytes were written."""

    name: str
    offset: int
    data: bytes


class Truncate(Struct, frozen=True):
    """A file was cut."""

    name: str
    size: int


class Created(Struct, frozen=True):
    """A file is new. It is taken to be there from then on, though empty."""

    name: str


class Deleted(Struct, frozen=True):
    """A file was deleted. Until its folder is synced it may be there again."""

    name: str
    synced: bool


class Sync(Struct, frozen=True):
    """A file was synced. `failed`: what was written before is visible still, and will never be on the disk."""

    name: str
    failed: bool = False


class Mark(Struct, frozen=True):
    """Something that a test has to know the moment of."""

    what: Any


Change = Write | Truncate | Created | Deleted | Sync | Mark


class Recorder(Disk):
    """Notes every change. A sync fails with the probability `fails`, but for the first ones."""

    syncs = False

    def __init__(self, fails: float = 0.0, rng: random.Random | None = None) -> None:
        self.changes: list[Change] = []
        self.fails = fails
        self._rng = rng or random.Random(0)

    def mark(self, what: object) -> None:
        self.changes.append(Mark(what))

    def created(self, name: str) -> None:
        self.changes.append(Created(name))

    def deleted(self, name: str, synced: bool) -> None:
        self.changes.append(Deleted(name, synced))

    def write(self, name: str, offset: int, data: bytes) -> int:
        self.changes.append(Write(name, offset, data))
        return OK

    def truncate(self, name: str, size: int) -> int:
        self.changes.append(Truncate(name, size))
        return OK

    def sync(self, name: str) -> int:
        failed = self._rng.random() < self.fails
        self.changes.append(Sync(name, failed))
        return IOERR_FSYNC if failed else OK


class Platter:
    """The files as they are known to be on the disk, and what was asked for since."""

    def __init__(self) -> None:
        self._safe: dict[str, bytes] = {}
        self._since: dict[str, list[Write | Truncate]] = {}
        self._unsure: dict[str, bytes] = {}
        """Files that were deleted, and may come back."""

    def take(self, change: Change) -> None:
        """Go on by one change."""
        match change:
            case Write() | Truncate():
                self._since[change.name].append(change)
            case Created(name):
                self._safe[name] = b""
                self._since[name] = []
            case Deleted(name, synced):
                gone = self._safe.pop(name)
                if not synced:
                    self._unsure[name] = gone
                del self._since[name]
            case Sync(name, failed):
                if not failed:
                    if not self._safe[name] and name.endswith(("-wal", "-journal")):
                        self._unsure.clear()  # at the first sync of a log SQLite syncs the folder too
                    self._safe[name] = _applied(self._safe[name], self._since[name])
                self._since[name] = []
            case Mark():
                pass

    @property
    def dirty(self) -> bool:
        """Whether anything was asked for since it was synced."""
        return any(self._since.values())

    def after(self, way: str, rng: random.Random) -> dict[str, bytes]:
        """The files after a loss of power now. `way`: what of the unsynced changes is there, one of WAYS."""
        files = dict(self._safe)
        if way == "undeleted":
            files = self._unsure | files
        for name, since in self._since.items():
            files[name] = _applied(files[name], _surviving(since, way, rng))
        return files


WAYS: Final = ("none", "all", "some", "first", "last", "torn sector", "torn page", "undeleted")


def _surviving(since: Sequence[Write | Truncate], way: str, rng: random.Random) -> list[Write | Truncate]:
    match way:
        case "none" | "undeleted":
            return []
        case "all":
            return list(since)
        case "some":
            return [change for change in since if rng.random() < 0.5]
        case "first":
            return list(since[: rng.randint(0, len(since))])
        case "last":
            return list(since[rng.randint(0, len(since)) :])
        case _:
            unit = SECTOR_BYTES if way == "torn sector" else PAGE_BYTES
            kept = list(since[: rng.randint(0, len(since))])
            return [*kept[:-1], *(part for change in kept[-1:] for part in _torn(change, unit, rng))]


def _torn(change: Write | Truncate, unit: int, rng: random.Random) -> list[Write | Truncate]:
    """Some units of a write, which begin at multiples of their size in the file."""
    if isinstance(change, Truncate):
        return [change]
    start, end = change.offset, change.offset + len(change.data)
    edges = [start, *range(start // unit * unit + unit, end, unit), end]
    order = rng.choice(["head", "tail", "any"])
    cut = rng.randint(0, len(edges) - 1)
    parts: list[Write | Truncate] = []
    for number, (first, last) in enumerate(itertools.pairwise(edges)):
        kept = {"head": number < cut, "tail": number >= cut, "any": rng.random() < 0.5}[order]
        if kept:
            parts.append(Write(change.name, first, change.data[first - start : last - start]))
    return parts


def _applied(before: bytes, changes: Sequence[Write | Truncate]) -> bytes:
    content = bytearray(before)
    for change in changes:
        match change:
            case Write(_, offset, data):
                content.extend(bytes(max(0, offset + len(data) - len(content))))
                content[offset : offset + len(data)] = data
            case Truncate(_, size):
                del content[size:]
                content.extend(bytes(size - len(content)))
    return bytes(content)


class Cut(Struct, frozen=True):
    """A loss of power."""

    at: int
    """So many changes had been asked for."""
    way: str
    files: Mapping[str, bytes]

    def write(self, folder: Path) -> None:
        """Put the files into an empty folder."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def cuts(changes: Sequence[Change], most: int, rng: random.Random) -> Iterator[Cut]:
    """About `most` losses of power: before and after each sync in every way, and between them in any."""
    boundaries = [at for at, change in enumerate(changes) if isinstance(change, Sync)]
    wanted: dict[int, set[str]] = {}
    for at in boundaries:
        wanted.setdefault(at, set()).update(WAYS)
        wanted.setdefault(at + 1, set()).update(("none", "all", "undeleted"))
    chosen = [(at, way) for at, ways in wanted.items() for way in sorted(ways)]
    chosen = rng.sample(chosen, min(len(chosen), most * 3 // 4))
    chosen += [(rng.randint(0, len(changes)), rng.choice(WAYS)) for _ in range(most - len(chosen))]
    by_moment: dict[int, list[str]] = {}
    for at, way in chosen:
        by_moment.setdefault(at, []).append(way)
    platter = Platter()
    for at in range(len(changes) + 1):
        for way in by_moment.get(at, []):
            yield Cut(at, way, platter.after(way, rng))
        if at < len(changes):
            platter.take(changes[at])
