"""What the disk takes by itself to write some pages and sync them: the least that a stored event can wait."""

import os
import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.direct import quantile

WRITE_BYTES: Final = 3 * 8192
"""Of one commit of one event: the pages of its row, of what is settled, and of their index."""
FILE_BYTES: Final = 16 * 2**20
"""Written round and round, as the journal's log is."""


class Syncs(Struct, frozen=True):
    """Latencies of writing and syncing, one after the other."""

    per_second: float
    p50_ms: float
    p99_ms: float


def syncs(folder: Path, seconds: float) -> Syncs:
    """Write and sync in `folder` for so long. Raises OSError."""
    file = folder / "syncs"
    page = os.urandom(WRITE_BYTES)
    took: list[float] = []
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, bytes(FILE_BYTES))
        os.fsync(descriptor)
        end = time.perf_counter() + seconds
        place = 0
        while (began := time.perf_counter()) < end:
            os.pwrite(descriptor, page, place)
            os.fsync(descriptor)
            took.append(time.perf_counter() - began)
            place = (place + WRITE_BYTES) % (FILE_BYTES - WRITE_BYTES)
    finally:
        os.close(descriptor)
        file.unlink()
    return Syncs(len(took) / sum(took), quantile(took, 0.5) * 1000, quantile(took, 0.99) * 1000)
