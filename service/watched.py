"""Files that are looked at every so often: whoever needs what is in them hears when that has changed."""

import asyncio
import errno
import hashlib
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Self

from service.tasks import ended
from service.threads import off_loop

POLL_SECONDS: Final = 1.0
"""What was written last is taken up within two of these: it is seen, and then nothing has moved any more."""
MOST_LOOKS: Final = 10
"""At files that somebody writes to without an end, before they are read all the same."""
MOST_BYTES: Final = 16 * 2**20
"""Of a file: nobody uses larger ones."""

_Look = tuple[tuple[int, ...] | None, ...]


class Watched:
    """Calls `changed` after the content of one of the files has changed, is gone or is back.

    Looks from the time it is made, or entered as a context manager whose end ends it. `changed` is called again only
    when it has returned; a change meanwhile is seen. It must not raise.
    """

    def __init__(
        self, paths: Sequence[Path], changed: Callable[[], Awaitable[None]], every_seconds: float = POLL_SECONDS
    ) -> None:
        self._paths = paths
        self._changed = changed
        self._every_seconds = every_seconds
        self._look = _look(paths)
        self._content = _content(paths)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch(), name="watched files")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await ended(self._task)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            if not await off_loop(self._touched) and None not in self._content:
                continue
            # Somebody may be at it: a file is written in parts, a certificate and its key one after the other. Half of
            # a list of keys may be a list of keys.
            for _ in range(MOST_LOOKS):
                await asyncio.sleep(self._every_seconds)
                if not await off_loop(self._touched):
                    break
            if await off_loop(self._differs):
                await self._changed()

    def _touched(self) -> bool:
        """Whether the files look otherwise than they did the last time. Blocks."""
        before, self._look = self._look, _look(self._paths)
        return self._look != before

    def _differs(self) -> bool:
        """Whether the content is another one than it was the last time. Blocks.

        What could not be read is tried again without a change: it may have been for want of a descriptor.
        """
        before, self._content = self._content, _content(self._paths)
        return self._content != before


def _look(paths: Sequence[Path]) -> _Look:
    return tuple([_seen(path) for path in paths])


def _seen(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def content(path: Path) -> bytes:
    """What is in a file; nothing of a pipe that nobody writes to.

    Raises OSError, also (EFBIG) for more than MOST_BYTES: a part of it would be taken for the whole.
    """
    with open(path, "rb", opener=_waiting_for_nobody) as file:
        found = file.read(MOST_BYTES + 1) or b""
    if len(found) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MOST_BYTES} bytes")
    return found


def _waiting_for_nobody(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _content(paths: Sequence[Path]) -> tuple[bytes | None, ...]:
    """The digest of each file; None of one that cannot be read."""
    found: list[bytes | None] = []
    for path in paths:
        try:
            found.append(hashlib.sha256(content(path)).digest())
        except OSError:
            found.append(None)
    return tuple(found)
