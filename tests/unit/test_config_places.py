"""Places of this machine that the configuration names: addresses and ports, and who may reach them; folders."""

from pathlib import Path

import pytest

from tests.unit.written import SOUND, mistakes


@pytest.mark.parametrize("other", ["d", "./d", "d/", "e/../d", "{folder}/d", "link", "link/../d"])
def test_one_folder_belongs_to_one_sink(tmp_path: Path, other: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "d")
    text = f"""
        sinks:
          a: {{type: file, path: d}}
          b: {{type: memory}}
          c:
            type: file
            path: {other.format(folder=tmp_path)}
        routes: {{orders: {{to: [a, b, c]}}}}
        """
    assert mistakes(tmp_path, text) == [
        f"penstock.yaml:6: sinks.c.path: {tmp_path}/d already belongs to sink 'a'; give each its own"
    ]


def test_folders_may_stand_beside_and_in_each_other(tmp_path: Path) -> None:
    sinks = "a: {type: file, path: d}, b: {type: file, path: e}, c: {type: file, path: d/e}"
    assert mistakes(tmp_path, f"sinks: {{{sinks}}}\nroutes: {{orders: {{to: [a, b, c]}}}}") == []


@pytest.mark.parametrize("path", ["taken", "taken/below", "taken/far/below", "dangling"])
def test_what_is_no_folder_cannot_become_one(tmp_path: Path, path: str) -> None:
    (tmp_path / "taken").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    there = tmp_path / path.partition("/")[0]
    text = f"sinks: {{data: {{type: file, path: {path}}}}}\nroutes: {{orders: {{to: [data]}}}}"
    assert mistakes(tmp_path, text) == [
        f"penstock.yaml:1: sinks.data.path: {there} is no folder: give a folder, or a path at which one can be made"
    ]


@pytest.mark.parametrize("path", ["''", "' '"])
def test_a_file_sink_needs_a_path(tmp_path: Path, path: str) -> None:
    text = f"sinks: {{data: {{type: file, path: {path}}}}}\nroutes: {{orders: {{to: [data]}}}}"
    (found,) = mistakes(tmp_path, text)
    assert found.startswith("penstock.yaml:1: sinks.data.path: must be a path, such as data or ")


# sizes


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_loopback_needs_neither_keys_nor_a_token(tmp_path: Path, host: str) -> None:
    assert mistakes(tmp_path, f"server: {{host: '{host}'}}\nadmin: {{host: '{host}'}}" + SOUND) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "penstock.example.com"])
def test_another_address_demands_a_word_on_who_may_send(tmp_path: Path, host: str) -> None:
    (found,) = mistakes(tmp_path, f"server: {{host: '{host}'}}" + SOUND)
    assert found.startswith(f"penstock.yaml:1: server.auth: {host} is reached from elsewhere: say who may send")
    assert mistakes(tmp_path, f"server: {{host: '{host}', auth: none}}" + SOUND) == []
    auth = "{keys_variable: KEYS, pepper_variable: PEPPER}"
    assert mistakes(tmp_path, f"server: {{host: '{host}', auth: {auth}}}" + SOUND) == []


def test_another_address_demands_a_token_of_the_admin_port(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, "admin: {host: 0.0.0.0}" + SOUND)
    assert found == "penstock.yaml:1: admin.token: 0.0.0.0 is reached from elsewhere: set a token"
    assert mistakes(tmp_path, "admin: {host: 0.0.0.0, token: long-enough}" + SOUND) == []


@pytest.mark.parametrize("token", ["''", "short"])
def test_a_token_that_protects_nothing_is_refused(tmp_path: Path, token: str) -> None:
    (found,) = mistakes(tmp_path, f"admin: {{host: 0.0.0.0, token: {token}}}" + SOUND)
    assert found == "penstock.yaml:1: admin.token: must have at least 8 characters"


@pytest.mark.parametrize("host", ["", "not a host", "[::1]", "http://127.0.0.1", "127.0.0.1:8080", "300.0.0.1"])
def test_what_cannot_be_bound_is_no_host(tmp_path: Path, host: str) -> None:
    found = mistakes(tmp_path, f"server: {{host: '{host}'}}\nadmin: {{host: '{host}'}}" + SOUND)
    wanted = "must be an address such as 127.0.0.1 or ::1, or a host's name such as localhost"
    assert found == [f"penstock.yaml:1: server.host: {wanted}", f"penstock.yaml:2: admin.host: {wanted}"]


def test_two_ports_are_two(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, "server: {port: 9464}" + SOUND)
    assert found == "penstock.yaml: admin.port: 9464 is the server's port too".replace("yaml:", "yaml:1:")
    assert mistakes(tmp_path, "server: {port: 0}\nadmin: {port: 0}" + SOUND) == []


def test_certificates_of_clients_need_a_port_that_asks_for_them(tmp_path: Path) -> None:
    auth = "auth: {certificates: [{subject: CN=a, name: a, routes: [nothing]}]}"
    more = "give server.tls with `clients: optional` or `required`"
    assert mistakes(tmp_path, f"server: {{{auth}}}" + SOUND) == [
        f"penstock.yaml:1: server.auth.certificates: nobody is asked for a certificate: {more}",
        "penstock.yaml:1: server.auth.certificates.0.routes: there is no route 'nothing'",
    ]


def test_a_route_takes_only_kinds_of_credentials_that_the_server_takes(tmp_path: Path) -> None:
    sound = SOUND.replace("orders: {", "orders: {auth: [keys], ")
    assert mistakes(tmp_path, "server: {}" + sound) == [
        "penstock.yaml:5: routes.orders.auth: `keys` are not taken by this server: see server.auth"
    ]
    (found,) = mistakes(tmp_path, "server: {}" + sound.replace("[keys]", "none"))
    assert "routes.orders.auth: the server asks nobody" in found
