"""Listeners of a local Kafka broker that demand credentials, beside the one that does not: one for each way in.

The credentials are made for the broker's life and mean nothing elsewhere.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.local.child import ChildError
from deploy.local.emulator import free_port

USER = "alice"
PASSWORD = "alice-secret"
KEY_PASSWORD = "key-secret"
"""Of the client's private key."""
_JAAS = "org.apache.kafka.common.security"
_LISTENERS = {"plain": "SASL_PLAINTEXT", "scram": "SASL_PLAINTEXT", "oauthbearer": "SASL_PLAINTEXT", "tls": "SSL"}
_SETTINGS = """\
listener.name.plain.sasl.enabled.mechanisms=PLAIN
listener.name.plain.plain.sasl.jaas.config={jaas}.plain.PlainLoginModule required user_{user}="{password}";
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256
listener.name.scram.scram-sha-512.sasl.jaas.config={jaas}.scram.ScramLoginModule required;
listener.name.scram.scram-sha-256.sasl.jaas.config={jaas}.scram.ScramLoginModule required;
listener.name.oauthbearer.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauthbearer.oauthbearer.sasl.jaas.config={jaas}.oauthbearer.OAuthBearerLoginModule required \
unsecuredLoginStringClaim_sub="broker";
listener.name.oauthbearer.oauthbearer.connections.max.reauth.ms=3600000
listener.name.tls.ssl.client.auth=required
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location={folder}/broker.pem
listener.name.tls.ssl.truststore.type=PEM
listener.name.tls.ssl.truststore.location={folder}/ca.pem
"""
"""Tokens are unsecured JWS (RFC 7515, `alg: none`); a connection ends with its token unless it gets a new one."""


class Security:
    """The listeners `plain`, `scram`, `oauthbearer` and `tls`, and the folder of the keys for the last."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made: `ca.pem`, `client.pem` with `client.key`, and `stranger.pem` with `stranger.key`, whom the
        broker does not know; the client's key has a password. Raises ChildError if openssl is missing."""
        self.folder = folder
        self.addresses = {name: f"127.0.0.1:{free_port()}" for name in _LISTENERS}
        """`host:port` by listener."""
        folder.mkdir()
        _make_certificates(folder)

    @property
    def listeners(self) -> str:
        """For the broker's `listeners`."""
        return "".join(f",{name.upper()}://{address}" for name, address in self.addresses.items())

    @property
    def protocols(self) -> str:
        """For the broker's `listener.security.protocol.map`."""
        return "".join(f",{name.upper()}:{protocol}" for name, protocol in _LISTENERS.items())

    @property
    def settings(self) -> str:
        """Further settings of the broker."""
        return _SETTINGS.format(jaas=_JAAS, user=USER, password=PASSWORD, folder=self.folder)

    @property
    def users(self) -> list[str]:
        """Arguments of the storage tool's `format`."""
        mechanisms = ("SCRAM-SHA-512", "SCRAM-SHA-256")
        given = [("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]") for mechanism in mechanisms]
        return [word for pair in given for word in pair]


def _make_certificates(folder: Path) -> None:
    for authority in ("ca", "other"):
        _certificate(folder, authority, "/CN=local authority")
    address = ("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    _certificate(folder, "broker", "/CN=localhost", "ca", address)
    _certificate(folder, "client", f"/CN={USER}", "ca", ("-passout", f"pass:{KEY_PASSWORD}"))
    _certificate(folder, "stranger", "/CN=stranger", "other")
    with (folder / "broker.pem").open("a") as both:
        both.write((folder / "broker.key").read_text())


def _certificate(folder: Path, name: str, subject: str, by: str = "", more: Sequence[str] = ()) -> None:
    """NAME.pem and NAME.key, valid for a day; signed by itself, or by an authority."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "1"]
    command += ["-subj", subject, "-out", f"{name}.pem", "-keyout", f"{name}.key", *more]
    if "-passout" not in more:
        command.append("-nodes")
    if by:
        command += ["-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-addext", "basicConstraints=critical,CA:FALSE"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ChildError("a broker with TLS needs openssl on the PATH (Debian: apt-get install openssl)") from None
    if done.returncode:
        raise ChildError(f"openssl could not make {name}.pem:\n{done.stderr[-2000:]}")
