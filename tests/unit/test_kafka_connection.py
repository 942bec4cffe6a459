"""How a Kafka client connects: what becomes of `auth` and `tls`, what is refused, and that no secret is shown."""

import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.config import load
from service.config.reference import effective
from service.errors import SettingErrors
from service.kafka.connection import connection, security
from service.kafka.settings import KafkaConfig
from tests.unit.written import mistakes, write

CANARY = "s3cr3t-canary"
MSK = "b-1.shop.abc123.c2.kafka.eu-west-1.amazonaws.com:9098"
SCRAM = {"username": "me", "password": CANARY}
OIDC = {"token_url": "https://login.example.com/token", "client_id": "me", "client_secret": CANARY}


def config(**settings: Any) -> KafkaConfig:
    return KafkaConfig.model_validate({"brokers": "127.0.0.1:9092", **settings})


@pytest.fixture(autouse=True)
def _no_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "nowhere"))


# --- what librdkafka gets


@pytest.mark.parametrize(
    ("settings", "properties"),
    [
        ({}, {}),
        ({"auth": "none"}, {"security.protocol": "plaintext"}),
        ({"tls": False}, {"security.protocol": "plaintext"}),
        ({"tls": True}, {"security.protocol": "ssl"}),
        ({"auth": "none", "tls": {"ca_file": "/ca"}}, {"security.protocol": "ssl", "ssl.ca.location": "/ca"}),
        (
            {"tls": {"certificate_file": "/c", "key_file": "/k", "key_password": CANARY}},
            {
                "security.protocol": "ssl",
                "ssl.certificate.location": "/c",
                "ssl.key.location": "/k",
                "ssl.key.password": CANARY,
            },
        ),
        (
            {"auth": {"scram": SCRAM}},
            {
                "security.protocol": "sasl_ssl",
                "sasl.mechanisms": "SCRAM-SHA-512",
                "sasl.username": "me",
                "sasl.password": CANARY,
            },
        ),
        (
            {"auth": {"scram": SCRAM | {"mechanism": "sha256"}}, "tls": False},
            {
                "security.protocol": "sasl_plaintext",
                "sasl.mechanisms": "SCRAM-SHA-256",
                "sasl.username": "me",
                "sasl.password": CANARY,
            },
        ),
        (
            {"auth": {"plain": SCRAM}, "tls": False},
            {
                "security.protocol": "sasl_plaintext",
                "sasl.mechanisms": "PLAIN",
                "sasl.username": "me",
                "sasl.password": CANARY,
            },
        ),
        (
            {"auth": {"oauthbearer": OIDC | {"scope": "kafka", "extensions": {"logicalCluster": "a", "pool": "b"}}}},
            {
                "security.protocol": "sasl_ssl",
                "sasl.mechanisms": "OAUTHBEARER",
                "sasl.oauthbearer.method": "oidc",
                "sasl.oauthbearer.token.endpoint.url": "https://login.example.com/token",
                "sasl.oauthbearer.client.id": "me",
                "sasl.oauthbearer.client.secret": CANARY,
                "sasl.oauthbearer.scope": "kafka",
                "sasl.oauthbearer.extensions": "logicalCluster=a,pool=b",
            },
        ),
    ],
)
def test_settings_become_these_properties(settings: dict[str, Any], properties: dict[str, Any]) -> None:
    assert security(config(**settings)) == properties


def test_iam_is_oauthbearer_over_tls_with_tokens_of_ours() -> None:
    made = security(config(brokers=MSK, auth="iam"))
    assert callable(made.pop("oauth_cb"))
    assert made == {"security.protocol": "sasl_ssl", "sasl.mechanisms": "OAUTHBEARER"}


def test_a_connection_has_the_brokers_the_name_and_the_users_own_properties() -> None:
    made = connection(config(client_id="me", properties={"client.rack": "a", "sasl.mechanism": "PLAIN"}))
    assert made == {
        "bootstrap.servers": "127.0.0.1:9092",
        "client.id": "me",
        "client.rack": "a",
        "sasl.mechanism": "PLAIN",
    }


def test_a_secret_is_the_first_line_of_its_file_as_it_is_when_the_client_is_made(tmp_path: Path) -> None:
    file = tmp_path / "password"
    settings = config(auth={"scram": {"username": "me", "password_file": file}})
    for secret in ("first", "second"):
        file.write_text(f"{secret}\nnot this\n")
        assert connection(settings)["sasl.password"] == secret


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "No such file"), (b"", "first line .* is empty"), (b"\nx", "first line .* is empty"), (b"\xff", "UTF-8")],
)
def test_a_secrets_file_that_holds_none_is_told_at_its_path(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingErrors, match=told) as caught:
        connection(config(auth={"plain": {"username": "me", "password_file": file}}))
    assert list(caught.value.mistakes) == [("auth", "plain", "password_file")]


# --- regions of tokens


@pytest.mark.parametrize(
    ("brokers", "region", "signed_for"),
    [
        (MSK, None, "eu-west-1"),
        (f"10.0.0.1:9098,{MSK.upper()}", None, "eu-west-1"),
        ("boot-x1.c1.kafka-serverless.us-gov-east-1.amazonaws.com:9098", None, "us-gov-east-1"),
        ("b-1.x.y.c4.kafka.cn-north-1.amazonaws.com.cn:9098", None, "cn-north-1"),
        (MSK, "us-east-1", "eu-west-1"),
        ("kafka.example.com:9098", "us-east-1", "us-east-1"),
    ],
)
def test_tokens_are_for_the_region_in_the_brokers_names_else_for_that_of_the_settings(
    brokers: str, region: str | None, signed_for: str
) -> None:
    assert config(brokers=brokers, auth={"iam": {"region": region}}).token_region() == signed_for


def test_what_acts_in_aws_comes_from_the_aws_section_unless_it_stands_there(tmp_path: Path) -> None:
    role = "arn:aws:iam::123456789012:role/"
    text = f"""
        aws: {{region: eu-west-1, role_arn: "{role}all", external_id: xyz, endpoint_url: "http://127.0.0.1:1"}}
        sinks:
          a: {{type: kafka, brokers: "k:9098", topic: t, auth: iam}}
          b: {{type: kafka, brokers: "k:9098", topic: t, auth: {{iam: {{role_arn: "{role}own", region: us-east-1}}}}}}
        routes: {{orders: {{to: [a, b]}}}}
        """
    sinks = load(write(tmp_path, text), {}).sinks
    found = {name: sink.model_dump()["auth"]["iam"] for name, sink in sinks.items()}
    assert found["a"] == {"region": "eu-west-1", "role_arn": f"{role}all", "external_id": "xyz"}
    assert found["b"] == {"region": "us-east-1", "role_arn": f"{role}own", "external_id": "xyz"}


# --- what makes no sense


def _mistakes(folder: Path, settings: str, brokers: str = "k.example.com:9098") -> list[str]:
    text = f"""
        sinks:
          data: {{type: kafka, brokers: "{brokers}", topic: t, {settings}}}
        routes: {{orders: {{to: [data]}}}}
        """
    return [mistake.removeprefix("penstock.yaml:2: sinks.data.") for mistake in mistakes(folder, text)]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("auth: iam", "auth.iam: no region; set"),
        ("auth: {iam: {region: eu-west-1}}, properties: {sasl.mechanism: PLAIN}", "properties.sasl.mechanism: is said"),
        ("auth: {iam: {region: eu-west-1}}, tls: false", "tls: without TLS anybody between here and k.example.com"),
        ("auth: {iam: {region: nowhere}}", "auth.iam.region: 'nowhere' is not a region"),
        ("auth: {iam: {endpoint_url: x}}", "auth.iam.endpoint_url: is not a setting; "),
        ("auth: {plain: {username: u, password: p}}, tls: false", "tls: without TLS anybody between here"),
        ("auth: {plain: {username: u, password: p, password_file: f}}", "auth.plain: give `password` or `password_f"),
        ("auth: {scram: {username: u}}", "auth.scram: give `password` or `password_file`, one of them"),
        (
            "auth: {scram: {username: u, password: p}, iam: {region: eu-west-1}}",
            "auth: a client has one identity: keep",
        ),
        ("auth: {scram: {username: u, password: p, mechanism: md5}}", "auth.scram.mechanism: "),
        ("auth: mtls", "auth: write `none`, `iam`, `{iam: {...}}`, {scram: {...}}, "),
        ("auth: {}", "auth: write `none`, `iam`"),
        ("auth: {scram: {username: u, password_file: nowhere}}", "auth.scram.password_file: "),
        ("auth: none, properties: {security.protocol: ssl}", "properties.security.protocol: is said by `auth` and"),
        ("tls: true, properties: {ssl.ca.location: /x}", "properties.ssl.ca.location: is said by `auth` and `tls`"),
        ("tls: {certificate_file: c}", "tls: a certificate needs its key: give `certificate_file` and `key_file`"),
        ("tls: {key_password: p}", "tls: a password of a key needs the key"),
        ("tls: {enabled: false, ca_file: c}", "tls: without TLS there are no certificates"),
        ("tls: {ca_file: nowhere.pem}", "tls.ca_file: librdkafka refuses it: "),
        ("tls: maybe", "tls: must be a mapping"),
        (
            "auth: {oauthbearer: {token_url: 'http://i.example.com', client_id: a, client_secret: b}}",
            "auth.oauthbea",
        ),
        ("auth: {oauthbearer: {token_url: x, client_id: a, client_secret: b}}", "auth.oauthbearer.token_url: a token "),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_place(tmp_path: Path, settings: str, told: str) -> None:
    [found] = _mistakes(tmp_path, settings)
    assert found.startswith(told)


@pytest.mark.parametrize(
    "settings",
    [
        "auth: {plain: {username: u, password: p}}, tls: false",
        "auth: {iam: {region: eu-west-1}}, tls: false",
        "auth: {oauthbearer: {token_url: 'http://localhost:1/t', client_id: a, client_secret: b}}",
    ],
)
def test_on_loopback_nobody_is_between_and_nobody_is_asked_for_a_token(tmp_path: Path, settings: str) -> None:
    assert _mistakes(tmp_path, settings, "127.0.0.1:1,[::1]:2,localhost:3") == []


def test_certificates_that_fit_are_taken_and_those_that_do_not_are_refused_at_their_place(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    [found] = _mistakes(tmp_path, "tls: {certificate_file: bad.pem, key_file: bad.pem}")
    assert found.startswith("tls.certificate_file: librdkafka refuses it: ")


# --- secrets


SECRETIVE = f"""
    sinks:
      a: {{type: kafka, brokers: "k:1", topic: t, auth: {{scram: {{username: u, password: "${{SECRET}}"}}}}}}
      b: {{type: kafka, brokers: "k:1", topic: t, auth: {{plain: {{username: u, password: {CANARY}}}}}}}
      c:
        type: kafka
        brokers: "k:1"
        topic: t
        auth: {{oauthbearer: {{token_url: "https://i.example.com/t", client_id: u, client_secret: {CANARY}}}}}
      d: {{type: kafka, brokers: "{MSK}", topic: t, auth: iam}}
      e: {{type: kafka, brokers: "k:1", topic: t, auth: none, tls: false}}
    routes: {{orders: {{to: [a, b, c, d, e]}}}}
    """


def test_secrets_are_not_shown_and_what_is_shown_can_be_read_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        first = load(write(tmp_path, SECRETIVE), {"SECRET": CANARY})
    shown = effective(first)
    assert CANARY not in shown + caplog.text + repr(first.sinks) + str(first.sinks["a"])
    assert yaml.safe_load(shown)["sinks"]["e"]["auth"] == "none"
    again = load(write(tmp_path, shown), {})
    assert yaml.safe_load(effective(again)) == yaml.safe_load(shown)
    assert again.sinks["d"] == first.sinks["d"]


@pytest.mark.parametrize(
    "settings",
    [
        f"auth: {{scram: {{username: u, pasword: {CANARY}}}}}",
        f"auth: {{scram: {{username: u, password: [{CANARY}]}}}}",
        f"auth: {{scram: {{username: '', password: {CANARY}}}}}",
        f"auth: {{plain: {{username: u, password: {CANARY}}}}}, tls: false",
        f"auth: {CANARY}",
        f"tls: {{certificate_file: c, key_file: k, key_password: {CANARY}}}",
    ],
)
def test_no_mistake_quotes_a_secret(tmp_path: Path, settings: str) -> None:
    found = _mistakes(tmp_path, settings)
    assert found
    assert CANARY not in "".join(found)
