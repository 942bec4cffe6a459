"""The stdout sink: one event per line to standard output, for `penstock dev`, pipes and containers' logs.

It never blocks the event loop, also where the reader stops reading, and keeps nothing beyond the write it is in.
"""

import os
from collections.abc import Sequence
from typing import ClassVar, Final, Literal, Self

import orjson
from pydantic import Field

from service.event import Event
from service.outcome import DELIVERED, Outcome, Reason, Rejected, Retry
from service.output import Output
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
        self._output = Output(config.descriptor)

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """Write the batch's lines. What was not written whole when the reader went away is Retry."""
        lines = [self._line(event) for event in batch.events]
        written, error = await self._output.write(b"".join(line for line in lines if line is not None))
        trouble = None if error is None else _retry_for(error)
        outcomes: list[Outcome] = []
        end = 0
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

    async def probe(self) -> None:
        """Raise ProbeError if the descriptor is not open."""
        try:
            os.fstat(self._descriptor)
        except OSError as error:
            raise ProbeError(f"descriptor {self._descriptor} is not open; use 1 for standard output") from error

    async def __aenter__(self) -> Self:
        self._output.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._output.close()


def _retry_for(error: OSError) -> Retry:
    if isinstance(error, BrokenPipeError):
        return Retry(Reason.CONNECTION_LOST, detail="nobody reads the output any more")
    return Retry(Reason.UNAVAILABLE, detail=f"cannot write the output: {error.strerror}")
