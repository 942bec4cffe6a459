"""The wire: bytes of one connection, as `http/protocol.py` takes them.

However they are cut, the same requests are found, and the same are refused; and where another parser of HTTP finds a
request at all, it ends where ours says that it does: nothing is smuggled behind it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Final

import h11
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.http.connections import Connections
from service.http.protocol import MOST_HEADERS, BoundedProtocol
from service.telemetry.meter import Meter
from tests.fuzz.cutting import pieces

HEAD_MEMORY: Final = 10 * 2**20
Found = tuple[bytes, bytes, bytes]
"""Method, target and body of a request."""


class _Loop:
    """What a protocol asks of its loop, where no time passes."""

    def __init__(self) -> None:
        self.soon: deque[Callable[[], object]] = deque()

    def call_soon(self, call: Callable[..., object], *arguments: Any) -> None:
        self.soon.append(lambda: call(*arguments))

    def call_later(self, *_: Any) -> Any:
        return SimpleNamespace(cancel=lambda: None)


class _Transport(asyncio.Transport):
    """A client that reads at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = write_eof = close

    def is_closing(self) -> bool:
        return self.closed

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It has none."""

    def get_write_buffer_size(self) -> int:
        return 0

    pause_reading = resume_reading = lambda self: None


class _Seen(BoundedProtocol):
    """A connection whose requests are noted."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Nobody answers but the test."""

    def noted(self) -> Found | None:
        """The request that has come whole, which is answered with this."""
        cycle = self.cycle
        if cycle is None or cycle.more_body or cycle.response_complete or self.transport.is_closing():
            return None
        assert len(self.headers) <= MOST_HEADERS
        if self.parser.should_upgrade():
            self.transport.close()  # the application refuses it, for its body would be lost
            return None
        found = (cycle.scope["method"].encode(), self.url, bytes(cycle.body))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()
        return found


def run(data: bytes) -> None:
    """What comes of one connection."""
    whole, broken = _taken(data, max(1, len(data)))
    for size in (1, 7):
        assert _taken(data, size) == (whole, broken), f"cut into pieces of {size}, it is something else"
    for ours, theirs in zip(whole, _otherwise(data), strict=False):
        assert (ours[0], ours[2]) == (theirs[0], theirs[2]), "two parsers see two requests"
        assert ours[1] == theirs[1] or not theirs[1].startswith(b"/")


def _taken(data: bytes, size: int) -> tuple[list[Found], bool]:
    """The requests in it, and whether something is answered as none."""
    loop, transport = _Loop(), _Transport()
    config = SimpleNamespace(
        loaded=True, loaded_app=None, ws_protocol_class=None, root_path="", asgi_version="3.0",
        limit_concurrency=None, timeout_keep_alive=75.0, reset_contextvars=False,
    )  # fmt: skip
    state: Any = SimpleNamespace(connections=set(), tasks=set(), total_requests=0, default_headers=[])
    port = Connections("server", 10, HEAD_MEMORY, 15.0, Meter())
    protocol = _Seen(port, config, state, {}, loop)
    protocol.connection_made(transport)
    found: list[Found] = []
    for piece in pieces(data, size):
        if transport.closed:
            break
        protocol.data_received(piece)
        found += _settled(protocol, loop)
    broken = transport.written.startswith(b"HTTP/1.1 400 ")
    assert broken or not transport.written, bytes(transport.written[:200])
    protocol.connection_lost(None)
    assert port.hold_head(HEAD_MEMORY), "memory of heads is not given back"
    return found, broken


def _settled(protocol: _Seen, loop: _Loop) -> Iterator[Found]:
    while True:
        while loop.soon:
            loop.soon.popleft()()
        found = protocol.noted()
        if found is None:
            return
        yield found


def _otherwise(data: bytes) -> Iterator[Found]:
    """The requests that h11 finds, up to what it takes for none."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
    parser.receive_data(data)
    try:
        while True:
            request = parser.next_event()
            if not isinstance(request, h11.Request):
                return
            body = b""
            while isinstance(event := parser.next_event(), h11.Data):
                body += event.data
            if not isinstance(event, h11.EndOfMessage):
                return
            yield request.method, request.target, body
            parser.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            parser.send(h11.EndOfMessage())
            if parser.our_state is not h11.DONE:
                return
            parser.start_next_cycle()
    except h11.ProtocolError:
        return
