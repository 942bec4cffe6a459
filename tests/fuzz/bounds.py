"""What a run of a harness takes, without a clock: lines of Python, and bytes of memory at once."""

import sys
import tracemalloc
from types import FrameType
from typing import Any, Final

from tests.fuzz.targets import Target

STEPS: Final = (40_000, 400)
"""Lines of the service's code, and as many more for each byte: what grows faster than its input is over it soon."""
MEMORY: Final = (3 * 2**20, 200)
"""Bytes, and as many more for each byte. Three MiB are what a compressed body may hold beyond its cap."""


def steps(target: Target, data: bytes) -> int:
    """How many lines of the service's own code are run."""
    count = 0

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        return line if "service" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        target(data)
    finally:
        sys.settrace(before)
    return count


def memory(target: Target, data: bytes) -> int:
    """The most bytes that are held at once beside those before, as far as Python knows of them."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        target(data)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
