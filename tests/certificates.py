"""Certificates for tests: an authority, and what it signs, as files."""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.files import rewrite

DAY = timedelta(days=1)
SERVER = (x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost"))


def named(name: str) -> x509.Name:
    """A subject that is a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Signed:
    """A certificate and its key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, chain: bytes = b"") -> None:
        self.certificate = certificate
        self.pem = certificate.public_bytes(Encoding.PEM) + chain
        self.key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.der = certificate.public_bytes(Encoding.DER)
        self.serial = f"{certificate.serial_number:x}"

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Both as files: `NAME.pem` and `NAME.key`."""
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        for path, content in zip(paths, (self.pem, self.key), strict=True):
            rewrite(path, content)
        return paths


class Authority:
    """Signs certificates."""

    def __init__(self, name: str = "an authority", above: "Authority | None" = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = named(name)
        builder = _builder(self._name, above._name if above else self._name, self._key, 10 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = builder.sign(above._key if above else self._key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(Encoding.PEM)

    def server(self, lasts: timedelta = DAY, begins: timedelta = -DAY) -> Signed:
        """A certificate for this machine; `begins` and `lasts` from now."""
        return self._signed(named("penstock"), ExtendedKeyUsageOID.SERVER_AUTH, SERVER, lasts, begins)

    def client(
        self, subject: str | x509.Name, lasts: timedelta = DAY, alternatives: Sequence[x509.GeneralName] = ()
    ) -> Signed:
        """A client's, for a common name or a whole one."""
        name = named(subject) if isinstance(subject, str) else subject
        return self._signed(name, ExtendedKeyUsageOID.CLIENT_AUTH, alternatives, lasts)

    def trusting(self, client: Signed | None = None, folder: Path | None = None) -> ssl.SSLContext:
        """What a client needs that trusts this authority; `folder` is where its own certificate may be written."""
        context = ssl.create_default_context(cadata=self.pem.decode())
        if client is not None and folder is not None:
            context.load_cert_chain(*client.write(folder, f"client-{client.serial}"))
        return context

    def _signed(
        self,
        name: x509.Name,
        usage: x509.ObjectIdentifier,
        alternatives: Sequence[x509.GeneralName],
        lasts: timedelta,
        begins: timedelta = -2 * DAY,
    ) -> Signed:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, self._name, key, lasts, begins)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return Signed(builder.sign(self._key, hashes.SHA256()), key)


def _builder(
    name: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    lasts: timedelta,
    begins: timedelta = -2 * DAY,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer,
        name,
        key.public_key(),
        x509.random_serial_number(),
        now + begins,
        now + lasts,
    )
