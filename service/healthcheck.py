"""Whether the service on this machine is alive, for a container that has neither a shell nor curl.

It asks the admin port, which is plain HTTP and open for /livez whatever the public port demands. Of the configuration
it reads that port and no more: a health check runs every few seconds, on as little as a quarter of a core.
"""

from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from service.document import find, read
from service.errors import ConfigError

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 9464
"""Those of `admin`, without loading the settings; a test compares."""
TIMEOUT_SECONDS: Final = 2.0


def where(file: Path | None, environment: Mapping[str, str]) -> tuple[str, int]:
    """Host and port at which the admin port can be asked. Raises ConfigError if the configuration does not say so."""
    document = read(find(file, environment), environment)
    found = document.value.get("admin")
    admin: Mapping[str, Any] = found if isinstance(found, dict) else {}
    try:
        port = int(admin.get("port", DEFAULT_PORT))
    except (TypeError, ValueError):
        port = 0
    if not 0 < port < 65536:
        raise ConfigError(["admin.port: a health check needs a port that the system does not pick"])
    return _reached(str(admin.get("host", DEFAULT_HOST))), port


def _reached(host: str) -> str:
    """The address at which a server that is bound to `host` hears this machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "::1" if address.version == 6 else DEFAULT_HOST
    return host


def ask(host: str, port: int) -> str:
    """An empty text if /livez answers 200, else why not."""
    connection = HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"no answer from the admin port {host}:{port}: {error}"
    finally:
        connection.close()
    return "" if status == HTTPStatus.OK else f"/livez of the admin port {host}:{port} answers {status}"
