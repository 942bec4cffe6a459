"""Where a journal may live, and that one process at a time uses it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import ConfigError
from service.journal.volume import LOCK, Lock, demand_durable, file_system, free_bytes, holder

MOUNTS = r"""
22 1 254:0 / / rw,relatime - overlay overlay rw,lowerdir=/a
23 22 0:5 / /dev rw shared:2 master:1 - devtmpfs udev rw,size=1k
24 22 254:1 / /var/lib rw,noatime shared:3 - ext4 /dev/vdb rw
25 24 0:40 / /var/lib/pen\040stock rw - xfs /dev/vdc rw
26 24 0:41 / /var/lib/late rw - nfs4 host:/x rw
27 24 0:42 / /var/lib/late rw - tmpfs none rw
28 24 0:43 / /var/lib/größe rw - btrfs /dev/vdd rw
29 24 0:44 / /var/lib/back\134slash rw - fuse.sshfs host: rw
"""

PLACES = {
    "/srv": "overlay",
    "/var/library": "overlay",
    "/var/lib": "ext4",
    "/var/lib/penstock/deep": "ext4",
    "/var/lib/pen stock": "xfs",
    "/var/lib/late/x": "tmpfs",
    "/var/lib/größe/x": "btrfs",
    "/var/lib/back\\slash": "fuse.sshfs",
}


@pytest.mark.parametrize(("place", "type_"), PLACES.items())
def test_a_folder_is_on_the_file_system_of_its_longest_mount_point(tmp_path: Path, place: str, type_: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.lstrip(), "utf-8")
    assert file_system(Path(place), mounts) == type_


def test_a_mount_point_that_is_no_text_is_no_trouble(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(MOUNTS.lstrip().encode() + b"30 24 0:45 / /var/lib/\xff\xfe rw - zfs pool rw\n")
    assert file_system(Path("/var/lib/x"), mounts) == "ext4"
    assert file_system(Path(os.fsdecode(b"/var/lib/\xff\xfe/x")), mounts) == "zfs"


def test_a_system_that_does_not_tell_is_believed(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "none") == ""
    demand_durable(tmp_path, "")


@pytest.mark.parametrize("type_", ["tmpfs", "overlay", "nfs4", "9p", "fuse.sshfs"])
def test_what_does_not_outlive_the_container_is_refused(type_: str) -> None:
    with pytest.raises(ConfigError, match=rf"journal\.path: /x is on {type_}, .* `volume: ephemeral`"):
        demand_durable(Path("/x"), type_)


@pytest.mark.parametrize("type_", ["ext4", "xfs", "btrfs", "zfs", "fuseblk"])
def test_what_outlives_it_is_not(type_: str) -> None:
    demand_durable(Path("/x"), type_)


LOCKING = """
import os, sys
from pathlib import Path
from service.journal.volume import Lock
kept = Lock.of(Path(sys.argv[1]))
print(kept)
"""


def other(folder: Path) -> str:
    """What another process gets, which ends at once."""
    return subprocess.run(
        [sys.executable, "-c", LOCKING, str(folder)], capture_output=True, text=True, check=True, timeout=30
    ).stdout.strip()


def test_one_process_at_a_time_has_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    lock = Lock.of(folder)
    assert lock is not None
    assert other(folder) == "None"
    assert holder(folder) == str(os.getpid())
    assert Lock.of(folder) is None
    lock.release()
    assert other(folder).startswith("<service.journal.volume.Lock")
    again = Lock.of(folder)
    assert again is not None
    again.release()


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    script = LOCKING + "os.kill(os.getpid(), 9)"
    died = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=30, check=False, capture_output=True)
    assert died.returncode == -9
    assert holder(tmp_path)
    lock = Lock.of(tmp_path)
    assert lock is not None
    lock.release()


def test_a_full_disk_has_a_lock_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    lock = Lock.of(tmp_path)
    assert lock is not None
    assert other(tmp_path) == "None"
    assert holder(tmp_path) == ""
    lock.release()


def test_a_lock_that_names_nobody_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(b"\xff\xfe\n")
    assert holder(tmp_path)
    assert holder(tmp_path / "none") == ""


def test_new_folders_are_on_the_disk_before_anything_is_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}")))
    lock = Lock.of(tmp_path / "a" / "b")
    assert lock is not None
    lock.release()
    assert synced == [str(tmp_path), str(tmp_path / "a")]


def test_free_bytes_are_those_of_the_disk(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
    with pytest.raises(OSError, match="No such file"):
        free_bytes(tmp_path / "none")
