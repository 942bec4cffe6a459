"""Lines to an open file descriptor, without blocking the event loop, also where the reader stops reading."""

import asyncio
import os
import select
from contextlib import suppress


class Output:
    """An open descriptor, such as 1, standard output. One writes at a time; nothing is kept beyond that write.

    Several processes may have the same one. Lines above the system's PIPE_BUF (4 KiB) may then end up in each other.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._own: int | None = None
        self._one_at_a_time = asyncio.Lock()
        self._torn = False
        """The last thing written was not a whole line: the next one begins on a line of its own."""

    def open(self) -> None:
        """A terminal is opened once more, so that writing to it can be non-blocking without changing it for others."""
        with suppress(OSError):  # a terminal that cannot be opened again is written to as it is
            if os.isatty(self._descriptor):
                flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                self._own = os.open(os.ttyname(self._descriptor), flags)

    def close(self) -> None:
        """Leave the descriptor as it was."""
        if self._own is not None:
            os.close(self._own)
            self._own = None

    async def write(self, data: bytes) -> tuple[int, OSError | None]:
        """How many bytes of `data`, whole lines, the system took, and what went wrong if not all of them."""
        async with self._one_at_a_time:
            start = b"\n" if self._torn else b""
            written, trouble = await self._send(start + data)
        return max(0, written - len(start)), trouble

    async def _send(self, data: bytes) -> tuple[int, OSError | None]:
        written = 0
        try:
            while written < len(data):
                await self._writable()
                # A pipe that is writable takes this much without blocking, and in one piece (pipe(7), POSIX write):
                # of whole lines, so that those of several processes do not end up in each other
                most = written + select.PIPE_BUF
                whole = data.rfind(b"\n", written, most) + 1
                with suppress(BlockingIOError):  # another process was first: it waits for room again
                    written += os.write(self._target, data[written : whole or most])
        except OSError as error:
            return written, error
        finally:
            if written:
                self._torn = data[written - 1] != ord("\n")
        return written, None

    @property
    def _target(self) -> int:
        return self._descriptor if self._own is None else self._own

    async def _writable(self) -> None:
        """Return once the descriptor takes bytes; files, which always do, are not to be waited for."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        try:
            loop.add_writer(self._target, lambda: None if ready.done() else ready.set_result(None))
        except PermissionError:
            # epoll knows no regular files (epoll_ctl(2), EPERM)
            return
        try:
            await ready
        finally:
            loop.remove_writer(self._target)
