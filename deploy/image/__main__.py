"""`python -m deploy.image`: build the Dockerfile where no registry is reached, and hold what comes of it to its word.

Needs root, and Debian's buildah and debootstrap. The base is made of Debian's packages: of the real one nothing is
proven (docs/unverified.md). Exit code 1 if something does not hold; 2 if it cannot be tried here.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from deploy.image.bundle import BASE, Failed, Images, run, size_bytes
from deploy.image.holds import check

MOST_BYTES: Final = 200_000_000
NEEDED: Final = ("buildah", "debootstrap", "unshare", "setpriv", "chroot")


def main() -> int:
    """Build and check. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.image", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--folder", type=Path, help="Where images are kept; a temporary folder if absent.")
    parser.add_argument("--once", action="store_true", help="Build once: do not compare two builds.")
    options = parser.parse_args()
    if missing := [each for each in NEEDED if shutil.which(each, path=os.environ["PATH"] + ":/usr/sbin") is None]:
        print(f"cannot be tried here without {', '.join(missing)}", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("cannot be tried here: debootstrap and mounts need root", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="penstock-image-") as temporary:
        try:
            _prove(Images(options.folder or Path(temporary)), once=options.once)
        except (Failed, RuntimeError) as failure:
            print(f"FAILED: {failure}", file=sys.stderr)
            return 1
    return 0


def _prove(images: Images, *, once: bool) -> None:
    began = time.monotonic()

    def told(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)

    images.make_base()
    with images.unpacked(BASE) as root:
        base = size_bytes(root)
    told(f"a base of Debian's packages: {base / 1e6:.0f} MB")
    images.build("localhost/penstock:first")
    layers = images.described("localhost/penstock:first")["rootfs"]["diff_ids"]
    told("built, from the locks and their hashes alone")
    if not once:
        images.build("localhost/penstock:second")
        if images.described("localhost/penstock:second")["rootfs"]["diff_ids"] != layers:
            raise Failed("two builds of the same files differ")
        told("built again: the same layers, byte for byte")
    with images.unpacked("localhost/penstock:first") as root:
        size = size_bytes(root)
        packed = run(["sh", "-c", f"tar -C {root} -c opt var/lib/penstock | gzip -6 | wc -c"])
        own = f"{(size - base) / 1e6:.0f} MB are not the base's, {int(packed) / 1e6:.0f} MB as gzip"
        told(f"{size / 1e6:.0f} MB unpacked, of which {own}")
        if size >= MOST_BYTES:
            raise Failed(f"it is larger than {MOST_BYTES} B")
        check(root, images.described("localhost/penstock:first")["config"], told)


if __name__ == "__main__":
    sys.exit(main())
