"""Makes an installed environment as small as an image wants it, and the same each time it is made.

`python -m deploy.image.trim FOLDER SERVICES SECONDS`, within the build of the image: takes away models of AWS services
other than SERVICES (`all` keeps them), what only compilers and type checkers read, and what debuggers read of shared
libraries; compiles the rest, keeps no source but that of the service, and gives every file the time SECONDS (of the
epoch).
"""

import compileall
import os
import re
import shutil
import struct
import sys
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Final

UNUSED: Final = (".pyx", ".pxd", ".pyi", ".pxi", ".c", ".h", ".cc", ".hpp")
"""Ends of names that nothing reads at run time."""
COLOURS: Final = re.compile(r"/pygments/lexers/(?!__init__|_mapping).*\.py$")
"""How to colour some 500 languages. They are loaded when one is printed, and `penstock` prints none."""
OURS: Final = "service"
"""The package whose source stays beside what is compiled: whoever reads a traceback of it sees its lines."""
ELF: Final = b"\x7fELF\x02\x01"
"""64 bits, little-endian: x86-64 and aarch64 (elf(5))."""
SEGMENTS_AT, SECTIONS_AT, HEADER_BYTES = 32, 40, 64


def trim(root: Path, services: frozenset[str], seconds: int) -> None:
    """Trim the environment at `root`. `services`: empty for all."""
    for models in root.glob("lib/python3*/site-packages/*/data"):
        if services and models.parent.name in ("botocore", "boto3"):
            _keep(models, services)
    for file in sorted(root.rglob("*")):
        if file.is_symlink() or not file.is_file():
            continue
        if file.suffix in UNUSED or COLOURS.search(str(file)):
            file.unlink()
        elif ".so" in file.suffixes:
            file.write_bytes(stripped(file.read_bytes()))
    for package in sorted(root.glob("lib/python3*/site-packages/*")):
        _compile(package, keeping=package.name == OURS)
    for path in (root, *root.rglob("*")):
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def _keep(models: Path, services: frozenset[str]) -> None:
    for folder in models.iterdir():
        if folder.is_dir() and folder.name not in services:
            shutil.rmtree(folder)


def _compile(package: Path, keeping: bool) -> None:
    """Compile a package, or a module. Not `keeping`, only what is compiled stays, where its source was ("Sourceless"
    in the documentation of compileall): of other people's code a traceback then has its lines by number alone.
    """
    sources = sorted(package.rglob("*.py")) if package.is_dir() else [package] if package.suffix == ".py" else []
    for source in sources:
        compileall.compile_file(
            source,
            quiet=1,
            legacy=not keeping,
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,  # nobody looks at the times of files
        )
        if not keeping:
            source.unlink()


def stripped(library: bytes) -> bytes:
    """A shared library without what stands behind the last segment that is loaded: sections of debuggers, which are
    more than half of some wheels. The loader goes by segments (elf(5), program header), and needs no table of sections.

    What is no such library comes back as it is.
    """
    if not library.startswith(ELF):
        return library
    (at,) = struct.unpack_from("<Q", library, SEGMENTS_AT)
    size, count = struct.unpack_from("<HH", library, SEGMENTS_AT + 22)
    end = max(HEADER_BYTES, at + size * count)
    for number in range(count):
        offset, _, _, length = struct.unpack_from("<QQQQ", library, at + number * size + 8)
        end = max(end, offset + length)
    made = bytearray(library[:end])
    struct.pack_into("<Q", made, SECTIONS_AT, 0)
    struct.pack_into("<HHH", made, 58, 0, 0, 0)
    return bytes(made)


def main() -> None:
    """Entry point."""
    folder, services, seconds = sys.argv[1:]
    trim(Path(folder), frozenset() if services == "all" else frozenset(services.split()), int(seconds))


if __name__ == "__main__":
    main()
