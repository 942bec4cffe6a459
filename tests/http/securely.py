"""A service with TLS for a test: its authority, its files, and clients that trust it."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.certificates import Authority, Signed
from tests.http.client import Connection, connect
from tests.http.running import Service, running

TLS = "tls: {certificate: server.pem, key: server.key%s}"
CLIENTS = ", client_ca: clients.pem, clients: %s"


def configuration(tls: str = "", server: str = "") -> str:
    """A service with one route, `orders`; `tls` and `server` are more settings of theirs, with a comma before."""
    return f"""
server: {{memory: 40MiB, body_timeout: 1s, drain_timeout: 10s, {TLS % tls}{server}}}
sinks:
  main: {{type: "tests.http.scripted:Scripted", patience: 3s, call_timeout: 1500ms}}
routes:
  orders: {{to: [main]}}
"""


class Secured:
    """A running service, and who signs."""

    def __init__(self, service: Service, authority: Authority, folder: Path) -> None:
        self.service = service
        self.authority = authority
        self.files = service.config.origin.parent if service.config.origin else Path()
        """Where its certificates are."""
        self._folder = folder

    async def connect(self, client: Signed | None = None, trust: ssl.SSLContext | None = None) -> Connection:
        """A new connection, of a client with this certificate."""
        return await connect(self.service.url, trust or self.trust(client))

    def trust(self, client: Signed | None = None) -> ssl.SSLContext:
        """What a client with this certificate needs."""
        return self.authority.trusting(client, self._folder)


@asynccontextmanager
async def secured(tls: str = "", server: str = "", clients: Authority | None = None) -> AsyncIterator[Secured]:
    """The service of `configuration(tls, server)`; `clients` signs the certificates of clients that it takes."""
    authority = Authority()
    signed = authority.server()
    files: Mapping[str, str] = {
        "server.pem": signed.pem.decode(),
        "server.key": signed.key.decode(),
        "clients.pem": (clients or authority).pem.decode(),
    }
    with TemporaryDirectory() as folder:
        async with running(configuration(tls, server), files) as service:
            service.trust = authority.trusting()
            yield Secured(service, authority, Path(folder))


def serial(connection: Connection) -> str:
    """Of the certificate that the service has shown."""
    from cryptography.x509 import load_der_x509_certificate

    der = connection.secure.getpeercert(True)
    assert der is not None
    return f"{load_der_x509_certificate(der).serial_number:x}"
