"""Whom a client of the service trusts, and who it says it is: files, made into what a TLS handshake needs."""

import ssl
from pathlib import Path


def trusting(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """The context of a client: `ca` instead of the system's authorities, and a certificate of its own.

    The key may stand in the certificate's file. Raises ValueError, which says what cannot be used.
    """
    if key is not None and certificate is None:
        raise ValueError("a client's key needs its certificate")
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:  # SSLError is one
        raise ValueError(f"{ca}: {_why(error, 'is no file of certificates in PEM form')}") from None
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, no_password)
        except (OSError, ValueError) as error:
            what = "these are no certificate and its key, not encrypted, in PEM form"
            raise ValueError(f"{certificate}{f' and {key}' if key else ''}: {_why(error, what)}") from None
    return context


def _why(error: Exception, else_: str) -> str:
    """Why a file cannot be read, or what is wrong with it."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return f"cannot be read: {error.strerror}"
    return else_


def no_password() -> bytes:
    """Instead of OpenSSL's own way, which asks at the terminal."""
    raise ValueError("encrypted")
