"""Settings of the C library's heap that keep resident memory near what is in use."""

import ctypes
import sys
from typing import Final

LARGE_BYTES: Final = 128 * 1024
"""Blocks from here on are the system's again as soon as they are free."""
_SPARE_BYTES: Final = 2**20
"""What is free at the end of the heap is kept up to here, so that it is not taken and given back all the time."""
_M_MMAP_THRESHOLD: Final = -3
_M_TRIM_THRESHOLD: Final = -1


def return_large_blocks() -> None:
    """Keep bodies and requests out of the heap proper, which they would leave full of holes. glibc only: elsewhere
    nothing happens.

    Left alone glibc raises the bound to the largest block that was ever freed, 32 MiB at most (mallopt(3),
    M_MMAP_THRESHOLD).
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _SPARE_BYTES)
