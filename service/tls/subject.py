"""Whom a client's certificate names. That an authority of ours signed it was verified in the handshake."""

from datetime import datetime
from typing import Final

from cryptography import x509

_SPIFFE: Final = "spiffe://"


def subject_of(der: bytes, now: datetime) -> str | None:
    """The name in a certificate (DER) that is valid at `now`; None if it names nobody, or is out of date.

    A SPIFFE ID where there is one: certificates of SPIRE have one subject for all workloads (X509-SVID, sections 2 and
    5: exactly one URI). Else the subject as RFC 4514 writes it, the most specific part first, such as
    `CN=shop,OU=web+O=Example,C=DE`; attributes that the RFC has no short name for stand there by their number. Names of
    hosts and addresses name nobody: they say where a server is. A resumed session is not verified anew by OpenSSL: so
    the dates are looked at here.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return None
        uris = _uris(certificate)
        if any(uri.startswith(_SPIFFE) for uri in uris):
            return uris[0] if len(uris) == 1 else None
        return certificate.subject.rfc4514_string() or None
    except ValueError:
        return None  # OpenSSL takes forms that are not X.509's


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)
