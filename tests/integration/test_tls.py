"""TLS with real processes: workers that renew their certificates, and the commands that are clients."""

import json
import re
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.certificates import DAY, Authority, Signed
from tests.conservation import samples, total
from tests.integration.command import ROOT, Serving, environment, penstock
from tests.integration.workers import TWO, until
from tests.unit.emf import metrics_of

TLS = "{certificate: server.pem, key: server.key, client_ca: ca.pem, clients: required}"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Its certificates, and the configuration of a service that takes only clients with one, lie in `tmp_path`."""
    made = Authority()
    made.server().write(tmp_path, "server")
    made.client("shop").write(tmp_path, "shop")
    (tmp_path / "ca.pem").write_bytes(made.pem)
    (tmp_path / "penstock.yaml").write_text(
        f"server: {{tls: {TLS}}}\nadmin: {{tls: {TLS}}}\n"
        "sinks: {lake: {type: file, path: lake}, dead: {type: file, path: dead}}\n"
        "routes:\n"
        "  orders: {to: [lake]}\n"
        "  strict: {to: [lake], dead_letter: {sink: dead, invalid: true}, "
        "schema: {type: jsonschema, file: never.json}}\n"
    )
    (tmp_path / "never.json").write_text('{"type": "object", "required": ["never"]}')
    return made


def serials(serving: Serving, trust: ssl.SSLContext, count: int) -> set[bytes]:
    """The certificates that so many new connections are shown."""
    found = set()
    for _ in range(count):
        port = int(serving.url.rpartition(":")[2])
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as stream,
            trust.wrap_socket(stream, server_hostname="localhost") as secure,
        ):
            found.add(secure.getpeercert(True) or b"")
    return found


def test_all_workers_renew_their_certificate(tmp_path: Path, authority: Authority) -> None:
    trust = authority.trusting(authority.client("shop"), tmp_path)
    with Serving("serve", folder=tmp_path, more=TWO) as serving:
        serving.trust = trust
        assert serving.post("orders", {"number": 1})[0] == 200
        new: Signed = authority.server(2 * DAY)
        new.write(tmp_path, "server")

        def renewed() -> bool:
            found = samples(serving.get("/metrics"))
            changes = "penstock_tls_certificate_renewals_total"
            return total(found, changes, result="renewed", port="server") >= 2 and (
                total(found, changes, result="renewed", port="admin") >= 1
            )

        until(renewed)
        assert serials(serving, trust, 20) == {new.der}
        assert serving.post("orders", {"number": 2})[0] == 200
        found = samples(serving.get("/metrics"))
        expiry = new.certificate.not_valid_after_utc.timestamp()
        for port in ("server", "admin"):
            assert total(found, "penstock_tls_certificate_expiry_timestamp_seconds", port=port) == expiry
        serving.signal(signal.SIGTERM)
        serving.end_well()


def test_cloudwatch_is_told_of_the_certificate_that_ends_first_and_of_keys_that_cannot_be_read(
    tmp_path: Path, authority: Authority
) -> None:
    first = authority.server(DAY / 2)
    first.write(tmp_path, "first")
    (tmp_path / "penstock.yaml").write_text(
        f"server: {{tls: {TLS}, auth: {{jwt: {{issuer: 'http://127.0.0.1:1', audience: events}}}}}}\n"
        f"admin: {{tls: {TLS.replace('server.', 'first.')}}}\n"
        "cloudwatch: {mode: emf}\n"
        "sinks: {lake: {type: file, path: lake}}\n"
        "routes: {orders: {to: [lake]}}\n"
    )
    with Serving("serve", folder=tmp_path) as serving:
        serving.signal(signal.SIGTERM)
        serving.end_well()
    expiry = first.certificate.not_valid_after_utc.timestamp()
    own = (("Service", "penstock"),)
    left, failures = [], 0.0
    for line in serving.printed.splitlines(keepends=True):
        metrics = metrics_of(line.encode())
        moment = json.loads(line)["_aws"]["Timestamp"] / 1000
        left += [expiry - moment - value for value in metrics.get(("CertificateTimeLeft", own), ("", []))[1]]
        failures += sum(metrics.get(("AuthRefreshFailures", own), ("", []))[1])
    assert left
    assert left == pytest.approx([0] * len(left), abs=0.01)
    assert failures >= 1


def test_the_commands_are_clients_with_a_certificate(tmp_path: Path, authority: Authority) -> None:
    checked = penstock("check", folder=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    shop = ("--ca", "ca.pem", "--client-cert", "shop.pem", "--client-key", "shop.key")
    with Serving("serve", folder=tmp_path) as serving:
        serving.trust = authority.trusting(authority.client("shop"), tmp_path)
        send = ("send", "orders", "-", "--url", serving.url)
        sent = penstock(*send, *shop, folder=tmp_path, input=b'{"number":1}')
        assert (sent.returncode, sent.stderr) == (0, "200\n")
        nobody = penstock(*send, "--ca", "ca.pem", folder=tmp_path, input=b'{"number":1}')
        assert (nobody.returncode, "no answer" in nobody.stderr) == (1, True)
        stranger = penstock(*send, folder=tmp_path, input=b'{"number":1}')
        assert (stranger.returncode, "CERTIFICATE_VERIFY_FAILED" in stranger.stderr) == (1, True)
        top = penstock("top", "--once", "--url", serving.admin, *shop, folder=tmp_path)
        assert top.returncode == 0, top.stdout + top.stderr
        assert serving.post("strict", {"number": 2})[0] == 422
        replayed = penstock("dlq", "replay", "--to", "orders", "--url", serving.url, *shop, folder=tmp_path)
        assert replayed.returncode == 0, replayed.stderr
        assert "1 letter selected, 1 confirmed and settled" in replayed.stderr


def test_files_that_cannot_be_used_are_a_sentence(tmp_path: Path, authority: Authority) -> None:
    authority.server().write(tmp_path, "other")
    for more, words in (
        (("--ca", "none.pem"), "none.pem: cannot be read: No such file"),
        (("--ca", "shop.key"), "shop.key: is no file of certificates in PEM form"),
        (("--client-cert", "shop.pem", "--client-key", "other.key"), "are no certificate and its key"),
        (("--client-key", "shop.key"), "needs its certificate"),
    ):
        done = penstock("send", "orders", "-", "--url", "https://127.0.0.1:1", *more, folder=tmp_path, input=b"{}")
        assert done.returncode == 1
        assert words in done.stderr
        assert done.stderr.count("\n") == 1


def test_check_and_serve_say_what_is_wrong_and_check_what_is_doubtful(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "server.key").chmod(0o644)
    doubtful = penstock("check", folder=tmp_path)
    assert doubtful.returncode == 0
    assert doubtful.stderr.count("every user of this machine may read it") == 2
    (tmp_path / "server.key").write_bytes(authority.server().key)
    for command in ("check", "serve"):
        done = penstock(command, folder=tmp_path)
        assert done.returncode == 1
        assert done.stderr.count("does not belong to the certificate") == 2
        assert "server.tls.key" in done.stderr
    shown = penstock("config", folder=tmp_path)
    assert json.dumps("PRIVATE")[1:-1] not in shown.stdout + shown.stderr


def test_the_costs_can_be_measured() -> None:
    measured = subprocess.run(
        [sys.executable, "-m", "bench.tls", "--rounds", "1", "--scale", "0.02"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert measured.returncode == 0, measured.stderr
    assert len(re.findall(r"\| \d+ us \| \d+ us \| [\d.]+|\| [\d.-]+ KiB \| [\d.-]+ KiB", measured.stdout)) == 5
