"""`penstock healthcheck`: where it asks, and what it makes of the answer."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from service.errors import ConfigError
from service.healthcheck import Where, ask, where


@pytest.mark.parametrize(
    ("text", "environment", "found"),
    [
        ("admin: {port: 9000}", {}, ("127.0.0.1", 9000)),
        ("admin: {host: 0.0.0.0}", {}, ("127.0.0.1", 9464)),
        ('admin: {host: "::"}', {}, ("::1", 9464)),
        ("admin: {host: 10.0.0.7}", {}, ("10.0.0.7", 9464)),
        ('admin: {port: "${PORT:-9001}"}', {}, ("127.0.0.1", 9001)),
        ('admin: {port: "${PORT:-9001}"}', {"PORT": "9002"}, ("127.0.0.1", 9002)),
        ("admin: {port: 9000}", {"PENSTOCK__ADMIN__PORT": "9003"}, ("127.0.0.1", 9003)),
        ("sinks: {a: {type: nothing_of_that_name}}", {}, ("127.0.0.1", 9464)),
        ("admin: {tls: {certificate: a, key: b, clients: required}}", {}, ("127.0.0.1", 8080)),
    ],
)
def test_it_asks_where_the_configuration_has_the_admin_port(
    tmp_path: Path, text: str, environment: dict[str, str], found: tuple[str, int]
) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(text)
    assert where(file, environment) == (*found, False)


def test_a_port_with_tls_is_asked_so_and_one_that_wants_a_certificate_is_not(tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text("admin: {tls: {certificate: a, key: b, clients: optional}}")
    assert where(file, {}).secure
    file.write_text("admin: {tls: {clients: required}}\nserver: {tls: {clients: required}}")
    with pytest.raises(ConfigError, match="optional"):
        where(file, {})


@pytest.mark.parametrize("port", ["0", "many", "70000"])
def test_a_port_that_it_cannot_know_is_a_mistake(tmp_path: Path, port: str) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(f"admin: {{port: {port}}}")
    with pytest.raises(ConfigError, match=r"admin\.port"):
        where(file, {})


class _Handler(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/livez" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        serving = Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield server.server_port
        server.shutdown()
        serving.join()


def test_200_is_alive(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(Where("127.0.0.1", port, False)) == ""
    monkeypatch.setattr(_Handler, "status", 503)
    assert "503" in ask(Where("127.0.0.1", port, False))


def test_no_answer_is_not_alive() -> None:
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        port = server.server_port
    assert "no answer" in ask(Where("127.0.0.1", port, False))
