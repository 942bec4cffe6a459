"""Whether the service on this machine is alive, for a container that has neither a shell nor curl.

It asks /livez of the admin port, which is open there whatever the public port demands. Of the configuration it reads
where that port is and no more: a health check runs every few seconds, on as little as a quarter of a core.
"""

import ssl
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple

from service.document import find, read
from service.errors import ConfigError

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORTS: Final = {"admin": 9464, "server": 8080}
"""Those of the settings, without loading them; a test compares. The first one that can be asked is."""
TIMEOUT_SECONDS: Final = 2.0


class Where(NamedTuple):
    """A port that can be asked."""

    host: str
    port: int
    secure: bool
    """Whether it speaks TLS."""


def where(file: Path | None, environment: Mapping[str, str]) -> Where:
    """The admin port, or the server's if that one lets only client certificates in. Raises ConfigError."""
    tree = read(find(file, environment), environment).value
    for section, default in DEFAULT_PORTS.items():
        found = _mapping(tree.get(section))
        tls = found.get("tls")
        if _mapping(tls).get("clients") == "required":
            continue
        return Where(
            _reached(str(found.get("host", DEFAULT_HOST))), _port(section, found.get("port", default)), tls is not None
        )
    raise ConfigError(["admin.tls.clients: `optional`: a health check has no certificate"])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _port(section: str, value: Any) -> int:
    try:
        port = int(value)
    except (TypeError, ValueError):
        port = 0
    if not 0 < port < 65536:
        detail = (
            f"{value!r:.40} cannot be asked: a health check needs a port from 1 to 65535 (0 is another at each start)"
        )
        raise ConfigError([f"{section}.port: {detail}"])
    return port


def _reached(host: str) -> str:
    """The address at which a server that is bound to `host` hears this machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "::1" if address.version == 6 else DEFAULT_HOST
    return host


def ask(at: Where) -> str:
    """An empty text if /livez answers 200, else why not."""
    connection = _connection(at)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"no answer from {at.host}:{at.port}: {error}"
    finally:
        connection.close()
    return "" if status == HTTPStatus.OK else f"/livez of {at.host}:{at.port} answers {status}"


def _connection(at: Where) -> HTTPConnection:
    if not at.secure:
        return HTTPConnection(at.host, at.port, timeout=TIMEOUT_SECONDS)
    # the certificate is for the name that others call, not for this address; nothing secret is sent or asked
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(at.host, at.port, timeout=TIMEOUT_SECONDS, context=context)
