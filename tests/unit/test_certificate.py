"""The files of a port's TLS: what is wrong with them is said, with the setting and without what is in them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from service.config import Config, load
from service.config.tls import TlsConfig
from service.errors import ConfigError, SettingErrors
from service.tls.certificate import examine, open_certificate
from tests.certificates import DAY, Authority

AUTHORITY = Authority()


def written(folder: Path) -> None:
    """A sound certificate and its key."""
    AUTHORITY.server().write(folder, "server")
    (folder / "clients.pem").write_bytes(AUTHORITY.pem)


def tls(folder: Path, **more: str) -> TlsConfig:
    """The settings for the files in a folder."""
    return TlsConfig.model_validate({"certificate": folder / "server.pem", "key": folder / "server.key", **more})


def _encrypted(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (folder / "server.key").write_bytes(text)


def _expired_authority(folder: Path) -> None:
    (folder / "clients.pem").write_bytes(AUTHORITY.client("shop", -DAY).pem)


@pytest.mark.parametrize(
    ("spoil", "place", "words"),
    [
        (lambda folder: (folder / "server.pem").unlink(), "certificate", "No such file"),
        (lambda folder: (folder / "server.key").unlink(), "key", "No such file"),
        (lambda folder: (folder / "server.pem").write_text("hello"), "certificate", "no certificate in PEM form"),
        (lambda folder: (folder / "server.key").write_text("hello"), "key", "no private key in PEM form"),
        (lambda folder: (folder / "clients.pem").write_text(""), "client_ca", "no certificate in PEM form"),
        (lambda folder: AUTHORITY.server(-DAY / 2).write(folder, "server"), "certificate", "expired at 20"),
        (lambda folder: (folder / "server.key").write_bytes(AUTHORITY.server().key), "key", "does not belong to"),
        (_encrypted, "key", "is encrypted"),
        (_expired_authority, "client_ca", "every certificate in it is expired"),
    ],
)
def test_what_is_wrong_is_said_of_the_setting_and_the_file(
    tmp_path: Path, spoil: Callable[[Path], object], place: str, words: str
) -> None:
    written(tmp_path)
    spoil(tmp_path)
    text = (
        "server: {tls: {certificate: server.pem, key: server.key, client_ca: clients.pem, clients: required}}\n"
        "admin: {tls: {certificate: server.pem, key: server.key}}\n"
        "sinks: {out: {type: stdout}}\nroutes: {orders: {to: [out]}}\n"
    )
    (tmp_path / "penstock.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "penstock.yaml", {}, examine=examine)
    of_both = [mistake for mistake in caught.value.mistakes if f".tls.{place}: " in mistake]
    assert len(of_both) == len(caught.value.mistakes) == (1 if place == "client_ca" else 2)
    assert all(words in mistake and str(tmp_path) in mistake for mistake in of_both)
    assert "PRIVATE KEY-----\n" not in str(caught.value)


def test_a_suite_that_openssl_does_not_know_is_a_mistake(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(SettingErrors, match="'ciphers': 'NONE-SUCH'"):
        open_certificate(tls(tmp_path, ciphers="NONE-SUCH"))


def configured(folder: Path, server: str) -> Config:
    """The configuration with these settings of the server's TLS."""
    path = folder / "penstock.yaml"
    path.write_text(f"server: {{tls: {server}}}\nsinks: {{out: {{type: stdout}}}}\nroutes: {{orders: {{to: [out]}}}}\n")
    return load(path, {}, examine=examine)


def test_a_key_that_every_user_may_read_is_noted(tmp_path: Path) -> None:
    written(tmp_path)
    pair = "{certificate: server.pem, key: server.key}"
    assert configured(tmp_path, pair).warnings == ()
    (tmp_path / "server.key").chmod(0o644)
    (warning,) = configured(tmp_path, pair).warnings
    assert warning.startswith("server.tls.key: ")
    assert "every user of this machine may read it" in warning


def test_a_certificate_that_is_not_valid_yet_is_noted(tmp_path: Path) -> None:
    AUTHORITY.server(2 * DAY, DAY).write(tmp_path, "server")
    (warning,) = configured(tmp_path, "{certificate: server.pem, key: server.key}").warnings
    assert warning.startswith("server.tls.certificate: ")
    assert "not valid before" in warning


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [
        ("clients: required", "server.tls.client_ca: clients: required needs the authorities"),
        ("client_ca: clients.pem", "server.tls.clients: client_ca is given: say `optional` or `required`"),
        ("min_version: 1.1", "server.tls.min_version: "),
        ("handshake_timeout: 0s", "server.tls.handshake_timeout: "),
    ],
)
def test_settings_that_do_not_fit_are_mistakes(tmp_path: Path, settings: str, mistake: str) -> None:
    written(tmp_path)
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, f"{{certificate: server.pem, key: server.key, {settings}}}")
    assert mistake in str(caught.value)


def test_versions_are_read_as_numbers_too(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "server.key").chmod(0o600)
    found = configured(tmp_path, "{certificate: server.pem, key: server.key, min_version: 1.3}").server.tls
    assert found is not None
    assert found.min_version == "1.3"
