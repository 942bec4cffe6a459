"""Where a journal may live, who may use it, and how much of the disk is free."""

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Final, Self

from service.errors import ConfigError

_FORGETFUL: Final = frozenset({"tmpfs", "ramfs", "overlay", "aufs", "squashfs"})
"""File systems in memory, or of a container: what is on them goes with the container or the machine."""
_REMOTE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "lustre", "afs", "gfs2", "ocfs2", "glusterfs", "beegfs"}
)
"""File systems of a network: locks and shared memory, which SQLite's log needs, cannot be relied upon
(sqlite.org/wal.html)."""
_MOUNTS: Final = Path("/proc/self/mountinfo")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
"""How the kernel writes white space and backslashes of a mount point (proc(5))."""
LOCK: Final = "lock"
_PAUSES_SECONDS: Final = (0.01, 0.05, 0.1)
"""Between attempts to take a lock: who only asks whose it is (`in_use`) has it for a moment."""


def file_system(folder: Path, mounts: Path = _MOUNTS) -> str:
    """Type of the file system that `folder` is on, such as `ext4`; empty where the system does not tell."""
    try:
        lines = mounts.read_text("utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    target = os.path.realpath(folder)
    best, found = -1, ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields.split(" ")[4])
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:  # of two at the same place the later one is seen
            best, found = len(point), rest.split(" ")[0]
    return found


def demand_durable(folder: Path, type_: str) -> None:
    """Raise ConfigError if what is stored in `folder`, of a file system of `type_`, does not outlive this container."""
    remote = type_ in _REMOTE or type_.startswith("fuse.")
    if type_ in _FORGETFUL or remote:
        why = "a network's, on which a journal cannot be kept safely" if remote else "gone with the container"
        place = f"journal.path: {folder} is on {type_}, which is {why}"
        raise ConfigError(
            [f"{place}; mount a volume there, or write `volume: ephemeral` if events may be lost with it"]
        )


class Lock:
    """The right to use a folder's journal, until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """The lock of a folder, which is made; None if another process has it. Raises OSError."""
        _make(folder)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for pause in (*_PAUSES_SECONDS, None):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if pause is None:
                    os.close(descriptor)
                    return None
                sleep(pause)
        with suppress(OSError):  # on a full disk the lock has no name, and holds
            os.ftruncate(descriptor, 0)
            os.write(descriptor, b"%d\n" % os.getpid())
        return cls(descriptor)

    def release(self) -> None:
        """Let others use it."""
        os.close(self._descriptor)


def _make(folder: Path) -> None:
    """Make a folder where there is none: it outlives a loss of power like what will be in it. Raises OSError."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def holder(folder: Path) -> str:
    """The process id that a lock's file names; empty if none."""
    try:
        return (folder / LOCK).read_text("ascii", errors="replace").strip()
    except OSError:
        return ""


def in_use(folder: Path) -> bool:
    """Whether a process has the lock of a folder. Nothing is made, nor kept. Raises OSError."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write to the disk of `folder`. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
