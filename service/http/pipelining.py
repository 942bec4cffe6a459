"""Pipelined requests: one of a connection is parsed once the one before it is answered, and until then is bytes."""

from abc import abstractmethod
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import Busy, IngestError
from service.http.connections import Connections
from service.http.framing import SLICE_BYTES, Framing
from service.http.readahead import ReadAhead

RETRY_SECONDS: Final = 1.0
"""What a client is told to wait for memory that connections share."""


class PipeliningProtocol(HttpToolsProtocol):
    """One connection. Beyond uvicorn's own: parsed requests do not queue up. What has come before its turn is kept as
    it came, in the memory that unfinished heads share, and nothing more is read meanwhile."""

    def __init__(self, port: Connections, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._port = port
        self._framing = Framing()
        self._ahead: ReadAhead | None = None
        """What has come before its turn; reading is paused while there is something."""
        self._leaving = False
        """Whether the connection is to end once that is answered."""
        self._broken: IngestError | None = None
        """Why nothing more is read from this connection."""

    @property
    def to_leave(self) -> bool:
        """Whether this client is to go elsewhere after its answer. One that has sent more is answered that first."""
        return self._port.leaving and self._ahead is None

    def data_received(self, data: bytes) -> None:
        reached = 0 if self._ahead is not None else self._read(data, 0)
        if reached < len(data):
            self._keep(data[reached:])

    def _read(self, data: bytes, start: int) -> int:
        """Parse `data` from `start` on. Returns how far: to its end, or to that of a request that is not answered."""
        size = len(data)
        view = data if size <= SLICE_BYTES else memoryview(data)
        while start < size and self._broken is None:
            cycle = self.cycle
            if cycle is not None and not cycle.more_body and not cycle.response_complete:
                return start
            end = self._framing.end(data, start)
            self._feed(view[start:end])
            start = end
        return size

    @abstractmethod
    def _feed(self, data: bytes | memoryview) -> None:
        """Parse a piece of what came."""

    @abstractmethod
    def _break(self, error: IngestError) -> None:
        """Read no more. Answer now, or once what came before is answered."""

    def _keep(self, data: bytes) -> None:
        self.flow.pause_reading()
        if self._ahead is None:
            self._ahead = ReadAhead(self._port)
        if not self._ahead.keep(data):
            self._break(Busy("no memory for more requests behind one that is not answered", RETRY_SECONDS))

    def _go_on(self) -> None:
        """Parse what was kept: its turn has come."""
        ahead = self._ahead
        if ahead is None or self.transport.is_closing():
            return
        self.flow.resume_reading()
        ahead.start = self._read(ahead.data, ahead.start)
        if ahead.start < len(ahead.data):
            self.flow.pause_reading()
        else:
            self._drop_ahead()
            if self._leaving:
                self.shutdown()

    def _drop_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead.drop()
            self._ahead = None

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        for name, value in self.headers:
            if name == b"content-length":
                self._framing.body = int(value)
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # the parser would take its body for a request

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._framing.body = 0

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._ahead is not None:
            self.loop.call_soon(self._go_on)

    def shutdown(self) -> None:
        """What has come until now is answered."""
        if self._ahead is not None:
            self._leaving = True
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._drop_ahead()
        super().connection_lost(exc)
