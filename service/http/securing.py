"""Handshakes of one port: whose certificate, counted before anybody has said anything, and told when they fail."""

import logging
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from service.config.tls import TlsConfig
from service.http.connections import Connections
from service.http.protocol import BoundedProtocol
from service.http.tls import Plaintext, TlsConnection
from service.telemetry.meter import Meter

if TYPE_CHECKING:
    from service.tls.renewal import Renewal

log = logging.getLogger(__name__)

_OF_CERTIFICATES: Final = ("CERT", "UNKNOWN_CA")
"""What OpenSSL's reasons have in them when a certificate was not taken, on either side."""


class Failure(StrEnum):
    """Why a handshake failed: a label of metrics."""

    ABANDONED = "abandoned"
    """The client went away; often one that only looks whether the port is open."""
    TIMEOUT = "timeout"
    CERTIFICATE = "certificate"
    """The client's is not taken here, or is missing; or the client does not take ours."""
    PROTOCOL = "protocol"
    """No TLS, such as plain HTTP; or no version or cipher suite that both know."""


Making = Callable[..., BoundedProtocol]
"""Makes a connection's protocol of what uvicorn gives it."""


async def secured(
    stack: AsyncExitStack, port: str, tls: TlsConfig | None, connections: Connections, make: Making, meter: Meter
) -> Making:
    """`make` behind a handshake, with a certificate that is renewed until the stack unwinds; `make` itself without TLS.

    Raises ConfigError.
    """
    if tls is None:
        return make
    from service.tls.renewal import Renewal  # a library that a service without TLS need not load

    renewal = await stack.enter_async_context(Renewal(port, tls, meter))
    handshakes = Handshakes(renewal, connections, meter)

    def making(**given: Any) -> TlsConnection:
        return TlsConnection(handshakes, partial(make, **given), given["server_state"].connections)

    return cast(Making, making)  # to uvicorn it is a protocol like others


class Handshakes:
    """What the handshakes of a port share."""

    def __init__(self, renewal: "Renewal", connections: Connections, meter: Meter) -> None:
        self._renewal = renewal
        self._connections = connections
        self._meter = meter

    @property
    def context(self) -> ssl.SSLContext:
        """What a handshake that begins now is made with."""
        return self._renewal.now.context

    @property
    def seconds(self) -> float:
        """How long one may take."""
        return self._renewal.tls.handshake_timeout

    def begin(self) -> bool:
        """Count one, until `end`. False if there are too many connections to even answer this one."""
        return self._connections.begin()

    def end(self) -> None:
        """It is over, however it ended."""
        self._connections.end()

    def name(self, protocol: Plaintext, secure: ssl.SSLObject, client: str) -> bool:
        """Tell the protocol of a connection whom the client's certificate names. False if it names nobody."""
        if self._renewal.tls.clients == "none" or (der := secure.getpeercert(True)) is None:
            return True
        from service.tls.subject import subject_of

        protocol.subject = subject_of(der, datetime.now(UTC))
        if protocol.subject is None:
            self._fail(Failure.CERTIFICATE, "the client's certificate names nobody, or is out of date", client)
        return protocol.subject is not None

    def failed(self, error: ssl.SSLError, client: str) -> None:
        """One failed."""
        reason = error.reason or "unknown"
        of_certificate = any(each in reason for each in _OF_CERTIFICATES)
        detail = getattr(error, "verify_message", None) or reason.lower().replace("_", " ")
        self._fail(Failure.CERTIFICATE if of_certificate else Failure.PROTOCOL, detail, client)

    def late(self, client: str) -> None:
        """One took too long."""
        self._fail(Failure.TIMEOUT, f"not within {self.seconds:g} s", client)

    def abandoned(self) -> None:
        """The client went away."""
        self._meter.tls_failures[self._renewal.port, Failure.ABANDONED.value] += 1

    def _fail(self, failure: Failure, detail: str, client: str) -> None:
        self._meter.tls_failures[self._renewal.port, failure.value] += 1
        # of many such lines a few are told, and a count (`telemetry.repeats`)
        fields = {"port": self._renewal.port, "reason": failure.value, "detail": detail, "client": client}
        log.info("a TLS handshake failed", extra=fields)
