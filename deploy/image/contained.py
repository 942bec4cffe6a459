"""A command in the files of an image as a container has it: process 1 of its own, read-only, a user without a name.

Made of unshare, mount and chroot, for which one must be root; what runs has no privilege, and cannot gain any.
"""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

USER: Final = 10001
_SIGCGT: Final = "SigCgt:"
_WAIT_SECONDS: Final = 30.0

_ENTER: Final = """
set -e
mount --bind {root} {root}
mount --rbind /dev {root}/dev
mount -t proc proc {root}/proc
mount --bind {configuration} {root}/etc/penstock
mount --bind {journal} {root}/var/lib/penstock
mount -o remount,ro,bind {root}
exec setpriv --no-new-privs chroot --userspec={user}:{user} --groups= {root} {command}
"""


class Contained:
    """One such command, from `with` to its end; `root` is an image's files, with a place for the configuration."""

    def __init__(
        self, root: Path, configuration: Path, journal: Path, log: Path, environment: Mapping[str, str], *command: str
    ) -> None:
        """`configuration`, `journal`: folders that are mounted; `log` takes both outputs."""
        self._script = _ENTER.format(
            root=root, configuration=configuration, journal=journal, user=USER, command=shlex.join(command)
        )
        self._environment = dict(environment)
        self.log = log

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self._outer = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", self._script],
                env=self._environment | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.until(lambda: bool(_children(self._outer.pid)), "it is forked")
        [self.pid] = _children(self._outer.pid)
        return self

    def __exit__(self, *_: object) -> None:
        if self._outer.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self._outer.wait()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Return once `holds()`. Raises RuntimeError, with the end of the log, if it ends or takes too long."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while not holds():
            if self._outer.poll() is not None or time.monotonic() > deadline:
                last = "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])
                raise RuntimeError(f"not so: {what}\n{last}")
            time.sleep(0.02)

    def says(self, text: str) -> None:
        """Return once its log has `text`."""
        self.until(lambda: text in self.log.read_text(errors="replace"), f"it says {text!r}")

    def handles_sigterm(self) -> bool:
        """Whether process 1 has a handler for SIGTERM by now."""
        return _caught(self.pid) >> (signal.SIGTERM - 1) & 1 == 1

    def terminate(self) -> None:
        """SIGTERM to process 1."""
        os.kill(self.pid, signal.SIGTERM)

    def exit_code(self) -> int:
        """Wait for its end."""
        return self._outer.wait(_WAIT_SECONDS)

    def workers(self) -> dict[int, str]:
        """The state of each child of process 1, by its id: `Z` is a zombie (proc(5))."""
        return {each: _state(each) for each in _children(self.pid)}


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def _caught(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith(_SIGCGT))
