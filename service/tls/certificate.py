"""The certificate of a port, and whose certificates its clients may have: files, made into what handshakes need."""

import ssl
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct

from service.config.tls import TlsConfig
from service.errors import SettingErrors
from service.tls.trust import no_password
from service.watched import content

_ALPN: Final = ["http/1.1"]
_MODES: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Certificate(Struct, frozen=True):
    """A certificate that fits its key, in a context of its own: sessions of another one cannot be resumed with it."""

    context: ssl.SSLContext
    serial: str
    """Hexadecimal."""
    expires: float
    """Unix seconds: when the first of the certificates in the file is out of date."""


def open_certificate(tls: TlsConfig) -> Certificate:
    """What the files hold. Raises SettingErrors, by setting, if that cannot be used; never with what is in them."""
    chain = _chain(tls.certificate, "certificate")
    now, expires = datetime.now(UTC), min(each.not_valid_after_utc for each in chain)
    if expires <= now:
        raise SettingErrors({("certificate",): f"{tls.certificate}: expired at {expires.isoformat()}: renew it"})
    _demand_key(tls, chain[0])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(_ALPN)
    if tls.ciphers is not None:
        try:
            context.set_ciphers(tls.ciphers)
        except ssl.SSLError:
            raise SettingErrors(
                {("ciphers",): f"{tls.ciphers!r}: OpenSSL knows no such suite: see `openssl ciphers`"}
            ) from None
    try:
        context.load_cert_chain(tls.certificate, tls.key, no_password)
    except (OSError, ValueError) as error:  # SSLError is one
        # both were sound a moment ago: they are being written, or OpenSSL finds them too weak
        raise SettingErrors(
            {("certificate",): f"{tls.certificate}: OpenSSL does not take it: {_reason(error)}"}
        ) from None
    _ask_clients(context, tls)
    return Certificate(context, f"{chain[0].serial_number:x}", expires.timestamp())


def examine(tls: TlsConfig) -> dict[str, str]:
    """What is allowed, but hardly meant, by setting. Raises SettingErrors as `open_certificate` does."""
    open_certificate(tls)
    doubts = dict[str, str]()
    with suppress(OSError):  # it was there a moment ago
        if tls.key.stat().st_mode & stat.S_IROTH:
            doubts["key"] = (
                f"{tls.key}: every user of this machine may read it: chmod o-r; defaultMode 0440 in Kubernetes"
            )
    begins = _chain(tls.certificate, "certificate")[0].not_valid_before_utc
    if begins > datetime.now(UTC):
        doubts["certificate"] = f"{tls.certificate}: not valid before {begins.isoformat()}"
    return doubts


def _ask_clients(context: ssl.SSLContext, tls: TlsConfig) -> None:
    if tls.client_ca is None:
        return
    authorities = _chain(tls.client_ca, "client_ca")
    if all(each.not_valid_after_utc <= datetime.now(UTC) for each in authorities):
        raise SettingErrors({("client_ca",): f"{tls.client_ca}: every certificate in it is expired: renew them"})
    context.verify_mode = _MODES[tls.clients]
    # whom the file names is trusted, be it a root or one below
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(tls.client_ca)
    except OSError as error:
        raise SettingErrors({("client_ca",): f"{tls.client_ca}: OpenSSL does not take it: {_reason(error)}"}) from None


def _chain(path: Path, setting: str) -> list[x509.Certificate]:
    """The certificates in a file. Raises SettingErrors."""
    text = _read(path, setting)
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError:
        raise SettingErrors(
            {(setting,): f"{path}: is no certificate in PEM form (-----BEGIN CERTIFICATE-----)"}
        ) from None


def _demand_key(tls: TlsConfig, certificate: x509.Certificate) -> None:
    """Raise SettingErrors if the key is not the certificate's."""
    text = _read(tls.key, "key")
    try:
        key = load_pem_private_key(text, None)
    except TypeError:
        wrong = "is encrypted: the service has nobody to ask for its password; decrypt it (openssl pkey)"
    except Exception:  # noqa: BLE001 - whatever it says may quote the key
        wrong = "is no private key in PEM form (-----BEGIN PRIVATE KEY-----)"
    else:
        if key.public_key() == certificate.public_key():
            return
        wrong = f"does not belong to the certificate {tls.certificate}"
    raise SettingErrors({("key",): f"{tls.key}: {wrong}"})


def _read(path: Path, setting: str) -> bytes:
    try:
        return content(path)
    except OSError as error:
        raise SettingErrors({(setting,): f"{path}: cannot be read: {error.strerror}"}) from None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
