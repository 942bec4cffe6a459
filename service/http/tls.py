"""TLS of one connection: between what the system sends and receives, and a protocol that knows nothing of it.

asyncio has TLS of its own, but a connection in its handshake is nobody's there: it is not counted, and why it failed is
not told. It also keeps two buffers of 256 KiB for each connection. (Decision 036.)
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

SLICE_BYTES: Final = 32 * 1024
"""How much is taken at once of what came: OpenSSL's buffer keeps the size of the most that it held."""
_RECORD_BYTES: Final = 16 * 1024
"""Most of a record (RFC 8446 section 5.1)."""
_PLAIN_HTTP: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 34\r\nconnection: close\r\n\r\n"
    b"this port speaks TLS: use https://"
)


class Plaintext(Protocol):
    """What speaks through TLS: a protocol of asyncio's."""

    subject: str | None

    def connection_made(self, transport: asyncio.Transport) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> Any: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Handshaking(Protocol):
    """What the handshakes of a port share; see `securing.Handshakes`."""

    @property
    def context(self) -> ssl.SSLContext: ...
    @property
    def seconds(self) -> float: ...
    def begin(self) -> bool: ...
    def end(self) -> None: ...
    def name(self, protocol: Plaintext, secure: ssl.SSLObject, client: str) -> bool: ...
    def failed(self, error: ssl.SSLError, client: str) -> None: ...
    def late(self, client: str) -> None: ...
    def abandoned(self) -> None: ...


class TlsConnection(asyncio.Protocol, asyncio.Transport):
    """One connection: the protocol of a plain transport, and the transport of a protocol that is made once the
    handshake is over. What waits to be sent waits in the plain transport, whose limits are the protocol's."""

    def __init__(self, handshakes: Handshaking, make: Callable[[], Plaintext], shut_down: set[Any]) -> None:
        """`make` makes the protocol. `shut_down`: whose `shutdown` the server calls at its end."""
        super().__init__()
        self._handshakes = handshakes
        self._make = make
        self._shut_down = shut_down
        self._plain: asyncio.Transport = cast(asyncio.Transport, None)  # until the connection is made
        self._context = handshakes.context
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._secure = self._context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._protocol: Plaintext | None = None
        self._timer: asyncio.TimerHandle | None = None
        """Runs during the handshake."""
        self._paused = False
        """Whether the protocol wants nothing now."""
        self._over: Callable[[], None] | None = None
        """What is to be done once all that came before is handed over: the client has ended, or makes no sense."""
        self._deaf = False
        """Whether what still comes is dropped: the connection was ended on our side."""

    # --- the handshake

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the handshake, unless there are too many connections to even answer this one."""
        self._plain = cast(asyncio.Transport, transport)
        if not self._handshakes.begin():
            self._deaf = True
            self._plain.abort()
            return
        self._shut_down.add(self)
        self._timer = asyncio.get_running_loop().call_later(self._handshakes.seconds, self._late)

    def _shake(self) -> None:
        """Go on with the handshake."""
        try:
            self._secure.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._flush()  # the alert that says why
            if error.reason == "HTTP_REQUEST":
                self._plain.write(_PLAIN_HTTP)
            self._handshakes.failed(error, self._client)
            self._end_handshake()
            self._deaf = True
            self._plain.close()
            return
        self._flush()
        self._end_handshake()
        protocol = self._make()
        if not self._handshakes.name(protocol, self._secure, self._client):
            self.close()
            return
        self._protocol = protocol
        protocol.connection_made(self)

    def _late(self) -> None:
        self._handshakes.late(self._client)
        self._end_handshake()
        self._deaf = True
        self._plain.abort()

    def _end_handshake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._shut_down.discard(self)
            self._handshakes.end()

    def shutdown(self) -> None:
        """The server is at its end: nothing was asked yet."""
        self._plain.abort()

    @property
    def _client(self) -> str:
        peer = self._plain.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    # --- what comes

    def data_received(self, data: bytes) -> None:
        """Records, or parts of them. What is in them is handed over at once, as it would be without TLS."""
        found: list[bytes] = []
        size = len(data)
        view = data if size <= SLICE_BYTES else memoryview(data)
        for start in range(0, size, SLICE_BYTES):
            if self._deaf:
                return
            self._incoming.write(view[start : start + SLICE_BYTES])
            if self._timer is not None:
                self._shake()
            if self._protocol is not None and not self._paused:
                self._decipher(found)
        self._hand_over(found)

    def _decipher(self, found: list[bytes]) -> None:
        """Add what can be read to `found`; what ends the connection is for `_hand_over`."""
        secure, incoming = self._secure, self._incoming
        try:
            while incoming.pending or secure.pending():
                piece = secure.read(_RECORD_BYTES)
                if not piece:
                    self._over = self._hear_end
                    break
                found.append(piece)
        except ssl.SSLWantReadError:
            pass  # the rest of a record is still to come
        except ssl.SSLError:
            self._over = self.abort
        if self._outgoing.pending:
            self._flush()

    def _hand_over(self, found: list[bytes]) -> None:
        if found and self._protocol is not None:
            self._protocol.data_received(found[0] if len(found) == 1 else b"".join(found))
        if self._over is not None and not self._deaf:
            self._over()

    def _hear_end(self) -> None:
        """The client has said that nothing more comes: as for a plain connection, this ends it."""
        self.eof_received()
        self.close()

    def eof_received(self) -> None:
        """The client has closed its side. The plain transport ends by itself."""
        if self._protocol is not None and not self._deaf:
            self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._deaf = True
        if self._timer is not None:
            self._handshakes.abandoned()
            self._end_handshake()
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(exc)

    # --- what goes: the transport of the protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encipher and send."""
        if self._deaf or not data:
            return
        try:
            self._secure.write(data)
        except ssl.SSLError:
            self.abort()
            return
        self._plain.write(self._outgoing.read())

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._plain.write(data)

    def pause_writing(self) -> None:
        """The client does not read."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """It has read."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Of what waits to be sent, enciphered."""
        self._plain.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Bytes that wait to be sent."""
        return self._plain.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Hand nothing more over, and take no more from the system."""
        self._paused = True
        self._plain.pause_reading()

    def resume_reading(self) -> None:
        """Hand over again, what came before as well."""
        if not self._paused:
            return
        self._paused = False
        self._plain.resume_reading()
        if self._incoming.pending or self._secure.pending():
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._protocol is not None and not self._paused and not self._deaf:
            found: list[bytes] = []
            self._decipher(found)
            self._hand_over(found)

    # --- the end

    def can_write_eof(self) -> bool:
        """It can, as a plain connection."""
        return True

    def write_eof(self) -> None:
        """End our side: what still comes is dropped."""
        self._notify()
        if not self._plain.is_closing():
            self._plain.write_eof()

    def close(self) -> None:
        """Send what there is, and end. Nothing more is handed over."""
        self._notify()
        self._plain.close()

    def abort(self) -> None:
        """End at once."""
        self._deaf = True
        self._plain.abort()

    def _notify(self) -> None:
        """Say that nothing more comes (close_notify), once. The other side's is not waited for (RFC 8446 section 6.1):
        that it has not come yet is the usual SSLWantReadError."""
        if self._deaf:
            return
        self._deaf = True
        with contextlib.suppress(ssl.SSLError):
            self._secure.unwrap()
        self._flush()

    def is_closing(self) -> bool:
        """Whether it ends, on our side."""
        return self._plain.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio's own TLS has it."""
        if name == "ssl_object":
            return self._secure
        if name == "sslcontext":
            return self._context
        return self._plain.get_extra_info(name, default)
