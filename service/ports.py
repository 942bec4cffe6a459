"""A port of the service: a socket that is bound or a sentence why not, and uvicorn behind it."""

import asyncio
import contextlib
import errno
import math
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import uvicorn
from starlette.types import ASGIApp

from service.errors import ConfigError
from service.http.protocol import BoundedProtocol

BACKLOG = 2048
"""Connections that the system may keep waiting before they are accepted."""
ACCEPTED_AT_ONCE = 8
"""Connections accepted in a turn of the loop: one for each descriptor of the listening socket that is polled.

libuv accepts one for each (https://github.com/libuv/libuv/pull/3696): of 500 that come at once the last would wait for
500 turns, and with it whoever came after them.
"""
KERNEL_UNSENT_BYTES = 128 * 1024
"""How much of an answer the system holds for a connection (Linux takes twice as much)."""
WANTED_DESCRIPTORS = 65_536
"""Files and connections that the process asks the system for at start, if it may have so many."""
OTHER_DESCRIPTORS = 256
"""What is kept of them for all but the connections of producers: sinks, files, the admin port, the parting."""


def raise_descriptors() -> int:
    """Raise the soft limit of open descriptors as far as it helps.

    Returns how many connections of producers it allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(WANTED_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS has a lower limit than the one it tells
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    allowed = WANTED_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    return max(1, allowed - min(OTHER_DESCRIPTORS, allowed // 2))


class Server(uvicorn.Server):
    """uvicorn without its signals: whoever runs the process hears them (`signals.heard`)."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.opened = asyncio.Event()
        """Set once connections are accepted."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        self.opened.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all connections, in `last_answers` seconds or when `force_exit` is set."""
        await super().shutdown(sockets)
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, BoundedProtocol):
                connection.end()


async def listen(
    stack: AsyncExitStack,
    app: ASGIApp,
    section: str,
    host: str,
    port: int,
    protocol: Callable[..., BoundedProtocol],
    *,
    secure: bool = False,
    keep_alive: float = 75.0,
    trusted: tuple[str, ...] = (),
    last_answers: float,
    shared: bool = False,
) -> tuple[Server, str]:
    """A server that accepts connections until the stack unwinds, and its address, such as `http://127.0.0.1:8080`.

    `section` is the part of the configuration that says `host` and `port`; `protocol` makes a connection's protocol of
    what uvicorn gives it, after a TLS handshake if the port is `secure`. Idle connections end after `keep_alive`
    seconds; open ones get `last_answers` seconds once the server is told to exit. `shared`: other processes listen
    there too (`let_others_bind`). Raises ConfigError if the address cannot be bound.
    """
    listener = bound(section, host, port, shared)
    server = Server(
        uvicorn.Config(
            app,
            loop="none",
            http=protocol,  # type: ignore[arg-type]  # it says type, and only calls it
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(trusted),
            forwarded_allow_ips=list(trusted),
            timeout_keep_alive=keep_alive,  # type: ignore[arg-type]  # it says int, and gives it to call_later
            timeout_graceful_shutdown=math.ceil(last_answers),
            backlog=BACKLOG,
        )
    )
    polled = [listener]
    with contextlib.suppress(OSError):  # there are hardly any descriptors left: then fewer at a time
        while len(polled) < ACCEPTED_AT_ONCE:
            polled.append(listener.dup())
    running = asyncio.create_task(server.serve(polled), name=f"{section} port")

    async def close() -> None:
        server.should_exit = True
        await running

    stack.push_async_callback(close)
    opening = asyncio.create_task(server.opened.wait())
    await asyncio.wait({running, opening}, return_when=asyncio.FIRST_COMPLETED)
    opening.cancel()
    if not server.opened.is_set():
        for each in polled:
            each.close()
        await running
        raise RuntimeError(f"the {section} port ended before it opened")
    return server, address(host, listener, secure)


def address(host: str, listener: socket.socket, secure: bool = False) -> str:
    """The address of a socket that is bound to `host`, such as `http://127.0.0.1:8080`."""
    shown = f"[{host}]" if ":" in host else host
    return f"http{'s' if secure else ''}://{shown}:{listener.getsockname()[1]}"


def let_others_bind(listener: socket.socket) -> None:
    """Let other processes of this user bind the address too; the system spreads connections over those that listen.

    Set only now, it has not kept the socket from finding out that the address was taken (socket(7), SO_REUSEPORT).
    Linux would also do without it on a socket that does not listen, for SO_REUSEADDR is set; BSDs would not.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def bound(section: str, host: str, port: int, shared: bool = False) -> socket.socket:
    """A socket bound to the address. Raises ConfigError if it is not ours, or taken; `shared`: by others than sharers.

    It does not listen, and takes no connections, before a server runs on it.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError([f"{section}.host: {host!r} is no address of this machine: {error.strerror}"]) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            let_others_bind(listener)
        # what is accepted inherits it: an answer that is not read would take megabytes of the kernel, which charges
        # them to the container
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_UNSENT_BYTES)
        listener.bind(address)
    except OSError as error:
        listener.close()
        reason = f"cannot bind {host}:{port}: {error.strerror}"
        if error.errno == errno.EADDRNOTAVAIL:
            raise ConfigError([f"{section}.host: {reason}; it is no address of this machine"]) from None
        choice = f"choose another with {section}.port or PENSTOCK__{section.upper()}__PORT, or 0 for any"
        raise ConfigError([f"{section}.port: {reason}; {choice}"]) from None
    listener.setblocking(False)
    return listener
