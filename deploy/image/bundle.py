"""Images on this machine without a registry: a base of Debian's own packages, and what is built on it by buildah."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from deploy.local.child import ROOT

BASE: Final = "localhost/penstock-base"
SUITE: Final = "bookworm"
PACKAGES: Final = "python3,python3-venv,ca-certificates"
EPOCH: Final = 315532800
"""Seconds: the time that every file and layer gets, 1980."""
AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
UNUSED: Final = (
    "var/cache/apt/archives/*.deb",
    "var/lib/apt/lists/*",
    "var/log/*",
    *(f"usr/share/{each}/*" for each in ("doc", "man", "locale", "info")),
)
"""What slim images leave out as well."""


class Failed(Exception):
    """A step failed: the message says which, and what it said last."""


class Images:
    """buildah's images in a folder of their own, with a driver and an isolation that need no container runtime."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._buildah = [
            *("buildah", "--storage-driver", "vfs"),
            *("--root", str(folder / "store"), "--runroot", str(folder / "run")),
        ]

    def make_base(self) -> None:
        """Debian with Python and nothing else that is not needed, as the image BASE. Raises Failed."""
        root = self._folder / "base"
        run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)])
        for pattern in UNUSED:
            for each in root.glob(pattern):
                shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
        for each in [*root.rglob("__pycache__")]:
            shutil.rmtree(each)
        made = self._said("from", "scratch")
        self._said("copy", "--quiet", made, str(root), "/")
        self._said("commit", "--quiet", "--timestamp", "0", made, BASE)
        self._said("rm", made)
        shutil.rmtree(root)

    def build(self, tag: str, arguments: Sequence[str] = ()) -> None:
        """Build the Dockerfile on BASE. pip asks whom it asks on this machine: that is a secret of the build.

        Raises Failed.
        """
        with tempfile.TemporaryDirectory() as secrets:
            configuration = Path(secrets) / "pip.conf"
            configuration.write_text(_pip_configuration())
            self._said(
                *("bud", "--isolation", "chroot", "--pull-never", "--no-cache", "--format", "docker"),
                *("--timestamp", str(EPOCH), "--build-arg", f"BASE={BASE}", *arguments),
                *("--secret", f"id=pip.conf,src={configuration}", "--secret", f"id=ca.pem,src={AUTHORITIES}"),
                *("--tag", tag, str(ROOT)),
            )

    def described(self, tag: str) -> dict[str, Any]:
        """What the image says of itself: `config`, `rootfs`, `history`."""
        found: dict[str, Any] = json.loads(self._said("inspect", "--type", "image", tag))["Docker"]
        return found

    @contextmanager
    def unpacked(self, tag: str) -> Iterator[Path]:
        """The files of an image, in a folder that is gone after the block."""
        made = self._said("from", "--pull-never", tag)
        try:
            yield Path(self._said("mount", made))
        finally:
            self._said("rm", made)

    def _said(self, *arguments: str) -> str:
        return run([*self._buildah, *arguments])


def run(command: Sequence[str], seconds: float = 600.0) -> str:
    """What a command printed. Raises Failed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        last = "\n".join([*done.stdout.splitlines(), *done.stderr.splitlines()][-12:])
        raise Failed(f"{command[0]} {command[-1]}: exit code {done.returncode}\n{last}")
    return done.stdout.strip()


def size_bytes(root: Path) -> int:
    """Bytes of all files below, each counted once."""
    seen: dict[tuple[int, int], int] = {}
    for each in root.rglob("*"):
        if each.is_file() and not each.is_symlink():
            there = each.stat()
            seen[there.st_dev, there.st_ino] = there.st_size
    return sum(seen.values())


def _pip_configuration() -> str:
    """Where pip finds packages on this machine, with the authorities where the build has them."""
    listed = run(["python3", "-m", "pip", "config", "list"])
    lines = ["[global]", "cert = /run/secrets/ca.pem"]
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key in ("index-url", "extra-index-url", "proxy", "trusted-host", "timeout", "default-timeout"):
            lines.append(f"{key} = {value.strip(chr(39))}")
    return "\n".join(lines) + "\n"
