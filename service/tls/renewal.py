"""The certificate that a port has now: read again when its files change, kept when what they hold cannot be used."""

import logging
from datetime import UTC, datetime
from typing import Self

from service.config.tls import TlsConfig
from service.errors import ConfigError, SettingErrors
from service.telemetry.meter import Meter
from service.threads import off_loop
from service.tls.certificate import Certificate, open_certificate
from service.watched import POLL_SECONDS, Watched

log = logging.getLogger(__name__)


class Renewal:
    """The certificate of one port. Handshakes take `now`; connections keep what they began with.

    A new context for each: loading into one that is in use would leave it without a key if the pair is bad, could take
    no authority of clients away, and would resume sessions of clients whose authority is gone.
    """

    def __init__(self, port: str, tls: TlsConfig, meter: Meter) -> None:
        """`port`, `server` or `admin`, labels the metrics. Raises ConfigError if the files cannot be used."""
        self.port = port
        self.tls = tls
        self._meter = meter
        paths = [path for path in (tls.certificate, tls.key, tls.client_ca) if path is not None]
        self._watched = Watched(paths, self._renew, POLL_SECONDS)  # before the files are read: no change is missed
        try:
            self.now = open_certificate(tls)
        except SettingErrors as error:
            raise ConfigError(
                [f"{'.'.join((port, 'tls', *path))}: {wrong}" for path, wrong in error.mistakes.items()]
            ) from None
        meter.tls_expiry[port] = self.now.expires

    async def __aenter__(self) -> Self:
        await self._watched.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._watched.__aexit__()

    async def _renew(self) -> None:
        try:
            # a thread: an RSA key is checked for milliseconds
            found = await off_loop(open_certificate, self.tls)
        except SettingErrors as error:
            self._meter.tls_renewals[self.port, "failed"] += 1
            log.error(
                "the certificate's files have changed and cannot be used: the old one is kept",
                extra={"port": self.port, "detail": "; ".join(error.mistakes.values()), **_fields(self.now)},
            )
        except Exception:
            # whatever it is, the old certificate serves on, and the files are read again when they change
            self._meter.tls_renewals[self.port, "failed"] += 1
            log.exception("the certificate could not be read again", extra={"port": self.port})
        else:
            self.now = found
            self._meter.tls_renewals[self.port, "renewed"] += 1
            self._meter.tls_expiry[self.port] = found.expires
            log.info("the certificate was renewed", extra={"port": self.port, **_fields(found)})


def _fields(certificate: Certificate) -> dict[str, str]:
    return {"serial": certificate.serial, "expires": datetime.fromtimestamp(certificate.expires, UTC).isoformat()}
