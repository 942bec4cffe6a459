"""The stdout sink: one event per line to standard output, for `penstock dev`, pipes and containers' logs.

It never blocks the event loop, also where the reader stops reading, and keeps nothing beyond the write it is in.
"""

import asyncio
import os
import select
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Final, Literal, Self

import orjson
from pydantic import Field

from service.event import Event
from service.outcome import DELIVERED, Outcome, Reason, Rejected, Retry
from service.sinks.contract import Batch, Limits, ProbeError, SinkConfig

NOT_TEXT = Rejected(Reason.REFUSED_CONTENT, "the body is not UTF-8 text: a line of output cannot hold it")

_SPACED: Final = bytes(32 if byte < 32 or byte == 127 else byte for byte in range(256))
"""Control characters become spaces: in JSON they only stand between tokens, in text they would drive a terminal."""


class Stdout:
    """Writes each event's body and a newline to a file descriptor; delivered once the system has taken the line.

    Several processes may have the same one. Lines above the system's PIPE_BUF (4 KiB) may then end up in each other.
    """

    class Config(SinkConfig):
        """Settings of a stdout sink."""

        form: Literal["line", "pretty"] = Field(
            default="line", description="`line`: the body on one line. `pretty`: indented, under its route and id."
        )
        descriptor: int = Field(default=1, ge=0, description="The open file descriptor: 1 is standard output, 2 error.")

    carries_attributes: ClassVar[bool] = False
    limits = Limits(batch_events=1000, batch_bytes=2**20, event_bytes=2**20, request_factor=1.0)

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self._pretty = config.form == "pretty"
        self._descriptor = config.descriptor
        self._own: int | None = None
        self._one_at_a_time = asyncio.Lock()
        self._torn = False
        """The last thing written was not a whole line: the next one begins on a line of its own."""

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """Write the batch's lines. What was not written whole when the reader went away is Retry."""
        lines = [self._line(event) for event in batch.events]
        async with self._one_at_a_time:
            start = b"\n" if self._torn else b""
            data = start + b"".join(line for line in lines if line is not None)
            written, trouble = await self._send(data)
        outcomes: list[Outcome] = []
        end = len(start)
        for line in lines:
            end += len(line or b"")
            if line is None:
                outcomes.append(NOT_TEXT)
            elif end <= written or trouble is None:
                outcomes.append(DELIVERED)
            else:
                outcomes.append(trouble)
        return outcomes

    def _line(self, event: Event) -> bytes | None:
        """The event as it is printed, with its newline; None if it is not text."""
        try:
            event.body.decode()
        except UnicodeDecodeError:
            return None
        if not self._pretty:
            return event.body.translate(_SPACED) + b"\n"
        head = f"{event.route} {event.id}".encode(errors="replace").translate(_SPACED)
        try:
            body = orjson.dumps(orjson.loads(event.body), option=orjson.OPT_INDENT_2)
        except orjson.JSONDecodeError:
            body = event.body.translate(_SPACED)
        return head + b"\n" + body + b"\n"

    async def _send(self, data: bytes) -> tuple[int, Retry | None]:
        """How many bytes the system took, and why not all."""
        written = 0
        try:
            while written < len(data):
                await self._writable()
                # A pipe that is writable takes this much without blocking, and in one piece (pipe(7), POSIX write):
                # of whole lines, so that those of several processes do not end up in each other
                most = written + select.PIPE_BUF
                whole = data.rfind(b"\n", written, most) + 1
                with suppress(BlockingIOError):
                    written += os.write(self._target, data[written : whole or most])
        except BrokenPipeError:
            return written, Retry(Reason.CONNECTION_LOST, detail="nobody reads the output any more")
        except OSError as error:
            return written, Retry(Reason.UNAVAILABLE, detail=f"cannot write the output: {error.strerror}")
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

    async def probe(self) -> None:
        """Raise ProbeError if the descriptor is not open."""
        try:
            os.fstat(self._descriptor)
        except OSError as error:
            raise ProbeError(f"descriptor {self._descriptor} is not open; use 1 for standard output") from error

    async def __aenter__(self) -> Self:
        """A terminal is opened once more, so that writing to it can be non-blocking without changing it for others."""
        with suppress(OSError):
            if os.isatty(self._descriptor):
                flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                self._own = os.open(os.ttyname(self._descriptor), flags)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._own is not None:
            os.close(self._own)
            self._own = None
