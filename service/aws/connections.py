"""The connections of one client: the SDK's own, and a pool beside them for the requests that are written here.

The SDK makes it (`AioConfig(http_session_cls=...)`) with all that its configuration says of connections; what is not a
`post` goes the way it always went. What a `post` raises are the SDK's exceptions.
"""

import asyncio
import socket
import ssl
from collections import deque
from typing import Any

import aiohappyeyeballs
import aiohttp
import httptools
from aiobotocore.httpsession import AIOHTTPSession
from botocore import exceptions as sdk
from botocore.httpsession import ProxyConfiguration, create_urllib3_context, get_cert_path
from msgspec import Struct

from service.aws.connection import Answer, Connection

_NEXT_ADDRESS_SECONDS = 0.25
"""After which the next address of a host is tried beside the first (RFC 8305 section 8; as aiohttp does)."""


class NotConnectedError(OSError):
    """No connection could be made: nothing was sent."""


class Endpoint(Struct, frozen=True):
    """Where a request goes."""

    url: str
    """Of the whole request: what exceptions tell."""
    host: str
    port: int
    tls: bool


class Connections(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore has no types
    """The `http_session` of a client."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._connect_seconds, self._read_seconds = settings["timeout"]
        self._certificates = settings.get("verify", True)
        self._own_certificate = settings.get("client_cert")
        self._sockets = settings["connector_args"].get("socket_factory")
        self._keepalive_seconds = settings["connector_args"]["keepalive_timeout"]
        self._proxies = ProxyConfiguration(settings.get("proxies"), settings.get("proxies_config"))
        self._open: set[Connection] = set()
        self._idle: dict[Endpoint, deque[Connection]] = {}
        self._tls: ssl.SSLContext | None = None
        self._making = asyncio.Lock()

    def proxied(self, url: str) -> bool:
        """Whether `url` is asked by way of a proxy: then not with `post`."""
        return self._proxies.proxy_url_for(url) is not None

    async def post(self, endpoint: Endpoint, head: bytes, body: bytes) -> Answer:
        """The answer to a request. Raises what `send` does: botocore's HTTPClientError and those below it.

        Each call in flight has a connection to itself: who calls bounds them.
        """
        connection = self._idle_one(endpoint) or await self._connected(endpoint)
        try:
            answer = await connection.ask(head, body, self._read_seconds)
        except TimeoutError as error:
            raise sdk.ReadTimeoutError(endpoint_url=endpoint.url, error=error) from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError) as error:
            raise sdk.ConnectionClosedError(endpoint_url=endpoint.url, error=error) from error
        except OSError as error:
            raise sdk.EndpointConnectionError(endpoint_url=endpoint.url, error=error) from error
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise sdk.HTTPClientError(error=error) from error
        if connection.usable:
            self._idle.setdefault(endpoint, deque()).append(connection)
        else:
            connection.abort()
        return answer

    def _idle_one(self, endpoint: Endpoint) -> Connection | None:
        """The connection that was used last; those that were idle for too long are ended."""
        idle = self._idle.get(endpoint)
        if not idle:
            return None
        long_ago = asyncio.get_running_loop().time() - self._keepalive_seconds
        while idle and (idle[0].idle_since < long_ago or not idle[0].usable):
            idle.popleft().abort()
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connected(self, endpoint: Endpoint) -> Connection:
        try:
            async with asyncio.timeout(self._connect_seconds):
                connection = await self._connect(endpoint)
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise sdk.SSLError(endpoint_url=endpoint.url, error=error) from error
        except TimeoutError as error:
            raise sdk.ConnectTimeoutError(endpoint_url=endpoint.url, error=error) from error
        except OSError as error:
            told = NotConnectedError(*error.args)
            raise sdk.EndpointConnectionError(endpoint_url=endpoint.url, error=told) from error
        self._open.add(connection)
        connection.ended.add_done_callback(lambda _: self._open.discard(connection))
        return connection

    async def _connect(self, endpoint: Endpoint) -> Connection:
        loop = asyncio.get_running_loop()
        tls = await self._context() if endpoint.tls else None
        addresses = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        made = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, socket_factory=self._sockets
        )
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(loop), sock=made, ssl=tls, server_hostname=endpoint.host if tls else None
            )
        except BaseException:
            # a cancellation too: nobody else knows of the socket
            made.close()
            raise
        return connection

    async def _context(self) -> ssl.SSLContext:
        """Made once, in a thread: it reads files."""
        async with self._making:
            if self._tls is None:
                self._tls = await asyncio.to_thread(self._made_context)
        return self._tls

    def _made_context(self) -> ssl.SSLContext:
        """As the SDK makes it: its ciphers and versions, the certificates of its configuration."""
        context: ssl.SSLContext = create_urllib3_context()
        if self._certificates:
            context.check_hostname = True
            context.load_verify_locations(get_cert_path(self._certificates))
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if isinstance(self._own_certificate, tuple):
            context.load_cert_chain(*self._own_certificate)
        elif self._own_certificate:
            context.load_cert_chain(self._own_certificate)
        return context

    async def __aexit__(self, *error: object) -> None:
        for connection in self._open:
            connection.abort()
        await asyncio.gather(*[connection.ended for connection in self._open])
        await super().__aexit__(*error)
