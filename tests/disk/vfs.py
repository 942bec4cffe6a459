"""What SQLite asks of a disk, seen and answered by a test: a VFS over the real one (sqlite.org/vfs.html).

Only what changes a file comes through here: the other methods are the real one's own.
"""

import _sqlite3
import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p, cast
from pathlib import Path
from typing import Any, Final

import pytest

OK: Final = 0
READ_ONLY: Final = 8
FULL: Final = 13
IOERR_READ: Final = 10 | 1 << 8
IOERR_WRITE: Final = 10 | 3 << 8
IOERR_FSYNC: Final = 10 | 4 << 8
IOERR_TRUNCATE: Final = 10 | 6 << 8

_OPEN_READONLY, _OPEN_READWRITE, _OPEN_CREATE = 1, 2, 4

_METHODS = ["close", "read", "write", "truncate", "sync", "size", "lock", "unlock", "reserved", "control", "sector"]
_METHODS += ["characteristics", "shm_map", "shm_lock", "shm_barrier", "shm_unmap", "fetch", "unfetch"]


class _Methods(Structure):
    """`sqlite3_io_methods`, version 3."""

    _fields_ = [("version", c_int), *((name, c_void_p) for name in _METHODS)]


class _File(Structure):
    """`sqlite3_file`."""

    _fields_ = [("methods", c_void_p)]


class _Vfs(Structure):
    """`sqlite3_vfs`, version 3."""

    _fields_ = [
        ("version", c_int),
        ("file_bytes", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("delete", c_void_p),
        *((f"other{number}", c_void_p) for number in range(14)),
    ]


_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
_DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_CLOSE = CFUNCTYPE(c_int, c_void_p)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


class Disk:
    """What becomes of changes to the files of a folder: here, what SQLite asks for. Every method is called in the
    thread that asks, and answers with a result code of SQLite; what is not OK was not done."""

    read_only = False
    """Whether files are opened for reading only from now on."""
    syncs = True
    """Whether syncs reach the real disk."""

    def created(self, name: str) -> None:
        """A file that was not there was opened."""

    def deleted(self, name: str, synced: bool) -> None:
        """A file is deleted. `synced`: the folder is synced then."""

    def write(self, name: str, offset: int, data: bytes) -> int:
        """Bytes are to be written."""
        del name, offset, data
        return OK

    def truncate(self, name: str, size: int) -> int:
        """A file is to be cut."""
        del name, size
        return OK

    def sync(self, name: str) -> int:
        """A file is to be synced."""
        del name
        return OK

    def rewritten(self, name: str, content: bytes) -> int:
        """Not SQLite but Python has written all of a file, and syncs it."""
        return self.write(name, 0, content) or self.sync(name)


class _Shim:
    """The VFS. One for the process: what SQLite was given must stay where it is."""

    def __init__(self, library: Any) -> None:
        find, self._register, self._unregister = (
            getattr(library, f"sqlite3_vfs_{name}") for name in ("find", "register", "unregister")
        )
        find.restype = c_void_p
        find.argtypes = [c_char_p]
        self._register.argtypes = [c_void_p, c_int]
        self._unregister.argtypes = [c_void_p]
        self.folder: Path | None = None
        self.disk = Disk()
        self._real_at = find(None)
        self._real = _Vfs.from_address(self._real_at)
        self._vfs = _Vfs.from_buffer_copy(self._real)
        self._names: dict[int, tuple[Disk, str]] = {}
        """Whose each open file is, and its name."""
        self._tables: dict[int, tuple[_Methods, _Methods]] = {}
        """The shim's methods and the real ones, by the address of the real ones."""
        self._methods: dict[int, _Methods] = {}
        self._kept = [
            _OPEN(self._open),
            _DELETE(self._delete),
            _CLOSE(self._close),
            _WRITE(self._write),
            _TRUNCATE(self._truncate),
            _SYNC(self._sync),
        ]
        self._vfs.name = b"watched"
        self._vfs.open, self._vfs.delete = (cast(each, c_void_p).value for each in self._kept[:2])
        self._real_open, self._real_delete = _OPEN(self._real.open), _DELETE(self._real.delete)

    def install(self) -> None:
        """Open files through this from now on."""
        assert self._register(ctypes.addressof(self._vfs), 1) == OK

    def remove(self) -> None:
        """Open files through the real one from now on; those that are open stay as they are."""
        assert self._unregister(ctypes.addressof(self._vfs)) == OK
        assert self._register(self._real_at, 1) == OK

    def _open(self, vfs: int, path: int, file: int, flags: int, out: Any) -> int:
        del vfs
        # the pointer itself goes on: behind the path stand the parameters of a URI
        name = Path((cast(path, c_char_p).value or b"").decode()) if path else None
        if name is None or name.parent != self.folder:
            return int(self._real_open(self._real_at, path, file, flags, out))
        if self.disk.read_only:
            flags = flags & ~(_OPEN_READWRITE | _OPEN_CREATE) | _OPEN_READONLY
        new = not name.exists()
        result = int(self._real_open(self._real_at, path, file, flags, out))
        if result != OK:
            return result
        if new:
            self.disk.created(name.name)
        at = _File.from_address(file)
        if at.methods not in self._tables:
            real = _Methods.from_address(at.methods)
            ours = _Methods.from_buffer_copy(real)
            ours.close, ours.write, ours.truncate, ours.sync = (cast(each, c_void_p).value for each in self._kept[2:])
            self._tables[at.methods] = ours, real
        ours, self._methods[file] = self._tables[at.methods]
        self._names[file] = self.disk, name.name
        at.methods = ctypes.addressof(ours)
        return OK

    def _delete(self, vfs: int, path: bytes, synced: int) -> int:
        del vfs
        name = Path(path.decode())
        if name.parent == self.folder and name.exists():
            if self.disk.read_only:
                return IOERR_WRITE
            self.disk.deleted(name.name, bool(synced))
        return int(self._real_delete(self._real_at, path, synced if self.disk.syncs else 0))

    def _close(self, file: int) -> int:
        self._names.pop(file)
        return int(_CLOSE(self._methods.pop(file).close)(file))

    def _write(self, file: int, data: int, size: int, offset: int) -> int:
        disk, name = self._names[file]
        result = disk.write(name, offset, ctypes.string_at(data, size))
        return result or int(_WRITE(self._methods[file].write)(file, data, size, offset))

    def _truncate(self, file: int, size: int) -> int:
        disk, name = self._names[file]
        result = disk.truncate(name, size)
        return result or int(_TRUNCATE(self._methods[file].truncate)(file, size))

    def _sync(self, file: int, flags: int) -> int:
        disk, name = self._names[file]
        result = disk.sync(name)
        if result != OK or not disk.syncs:
            return result
        return int(_SYNC(self._methods[file].sync)(file, flags))


_made: list[_Shim] = []


def _shim() -> _Shim:
    """The process's. Skips the test where SQLite cannot be reached."""
    if not _made:
        try:
            _made.append(_Shim(ctypes.CDLL(getattr(_sqlite3, "__file__", None))))
        except (AttributeError, OSError):
            pytest.skip("this Python has SQLite linked in, and does not show it: there is no way below it")
    return _made[0]


@contextmanager
def watched(folder: Path, disk: Disk) -> Iterator[None]:
    """Files that SQLite opens in `folder` are `disk`'s meanwhile."""
    shim = _shim()
    shim.folder, shim.disk = folder, disk
    shim.install()
    real = os.fsync

    def fsync(file: int) -> None:
        path = next((each for each in folder.iterdir() if os.path.samestat(each.stat(), os.fstat(file))), None)
        if path is not None and disk.rewritten(path.name, path.read_bytes()) != OK:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if path is None or disk.syncs:
            real(file)

    os.fsync = fsync  # type: ignore[assignment]  # of files that are numbers, as ours are
    try:
        yield
    finally:
        os.fsync = real
        shim.remove()
        shim.folder, shim.disk = None, Disk()


Answer = Callable[[str], int]
"""What to say to a change of the file of this name."""


class FailingDisk(Disk):
    """Does what is asked, until a test says otherwise."""

    def __init__(self) -> None:
        self.on_write: Answer = _fine
        self.on_sync: Answer = _fine
        self.writes = 0
        self.synced = 0

    def heal(self) -> None:
        """Do again what is asked."""
        self.on_write = self.on_sync = _fine
        self.read_only = False

    def write(self, name: str, offset: int, data: bytes) -> int:
        self.writes += 1
        return READ_ONLY if self.read_only else self.on_write(name)

    def truncate(self, name: str, size: int) -> int:
        return READ_ONLY if self.read_only else self.on_write(name)

    def sync(self, name: str) -> int:
        self.synced += 1
        return self.on_sync(name)


def _fine(name: str) -> int:
    del name
    return OK
