"""A kafka sink's settings that can never work: refused at their place, without a network, leaving nothing behind."""

import os
import socket
import sys
from pathlib import Path

import pytest

from tests.unit.written import mistakes

OIDC = {"sasl.mechanisms": "OAUTHBEARER", "security.protocol": "SASL_SSL", "sasl.oauthbearer.method": "oidc"}
OIDC |= {"sasl.oauthbearer.client.id": "me", "sasl.oauthbearer.client.secret": "hidden"}
SCRAM = {"security.protocol": "SASL_SSL", "sasl.username": "me", "sasl.password": "hidden"}
SURROGATE = "\\udcff"  # as YAML writes it


def _mistakes(folder: Path, properties: dict[str, str], brokers: str = "b:9092", topic: str = "t") -> list[str]:
    """Each with its line: brokers stand on the fourth, the first property on the seventh."""
    lines = ["sinks:", "  data:", "    type: kafka", f"    brokers: '{brokers}'", f"    topic: '{topic}'"]
    lines += ["    properties:"] + [f'      "{name}": "{value}"' for name, value in properties.items()]
    if not properties:
        lines.pop()
    found = mistakes(folder, "\n".join([*lines, "routes: {orders: {to: [data]}}"]))
    return [mistake.removeprefix("penstock.yaml:").replace("sinks.data.", "") for mistake in found]


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"no.such": "1"}, ['7: properties.no.such: librdkafka refuses it: No such configuration property: "no.such"']),
        ({"debug": "none"}, ['7: properties.debug: librdkafka refuses it: Invalid value "none" for configuration']),
        ({"socket.timeout.ms": "x"}, ["7: properties.socket.timeout.ms: librdkafka refuses it: Invalid value"]),
        ({"retries": "-1"}, ["7: properties.retries: librdkafka refuses it: Configuration property"]),
        ({"max.in.flight": "10"}, ["7: properties.max.in.flight: librdkafka refuses it: `max.in.flight` must be set"]),
        ({"sasl.mechanisms": "FOO"}, ["7: properties.sasl.mechanisms: librdkafka refuses it: Unsupported SASL mech"]),
        (SCRAM | {"sasl.mechanism": "FOO"}, ["10: properties.sasl.mechanism: librdkafka refuses it: Unsupported SASL"]),
        (
            {"security.protocol": "SASL_SSL"},
            ["6: properties: librdkafka refuses it: No provider for SASL mechanism"],
        ),
        (
            {"default.topic.config": "x"},
            ["7: properties.default.topic.config: librdkafka refuses it: it takes no"],
        ),
        (OIDC, ["9: properties.sasl.oauthbearer.method: librdkafka refuses it: `sasl.oauthbearer.token.endpoint.url`"]),
        ({SURROGATE: "x"}, ["7: properties.\udcff: librdkafka refuses it: it is no valid Unicode"]),
        ({"client.rack": SURROGATE}, ["7: properties.client.rack: librdkafka refuses it: it is no valid Unicode"]),
        (
            {"sasl.mechanisms": "FOO", "no.such": "1"},
            ["8: properties.no.such: librdkafka refuses it", "7: properties.sasl.mechanisms: librdkafka refuses it"],
        ),
        ({"acks": "0", "x": "1"}, ["7: properties.acks: cannot be set here: the sink sets it"]),
        (
            {"no.such": "1", "client.rack": "a", "broker.address.family": "v5"},
            ["7: properties.no.such: librdkafka refuses it", "9: properties.broker.address.family: librdkafka refuses"],
        ),
    ],
)
def test_what_librdkafka_refuses_is_told_at_its_place(
    tmp_path: Path, properties: dict[str, str], told: list[str]
) -> None:
    found = _mistakes(tmp_path, properties)
    assert len(found) == len(told)
    assert [mistake for mistake, start in zip(found, told, strict=True) if not mistake.startswith(start)] == []


@pytest.mark.parametrize("properties", [{}, SCRAM | {"sasl.mechanisms": "SCRAM-SHA-512"}, {"debug": "all"}])
def test_what_librdkafka_takes_is_taken_without_a_word(
    tmp_path: Path, properties: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert _mistakes(tmp_path, properties) == []
    assert capfd.readouterr() == ("", "")


def test_a_secret_that_librdkafka_quotes_is_masked(tmp_path: Path) -> None:
    (found,) = _mistakes(tmp_path, {"ssl.key.password": "hidden", "ssl.endpoint.identification.algorithm": "hidden"})
    assert 'Invalid value "***" for configuration property' in found


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads in /proc/self/task")
def test_neither_a_broker_nor_who_gives_tokens_is_asked_and_no_thread_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        threads = len(os.listdir("/proc/self/task"))
        tokens = OIDC | {"sasl.oauthbearer.token.endpoint.url": f"http://{address}/token"}
        assert _mistakes(tmp_path, tokens, address) == []
        assert _mistakes(tmp_path, {}, address) == []
        assert len(os.listdir("/proc/self/task")) == threads
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("brokers", ["b", "b:1", "b-1.example.com:9092, [::1]:65535", "127.0.0.1:9092,my_broker"])
def test_brokers_are_hosts_with_ports(tmp_path: Path, brokers: str) -> None:
    assert _mistakes(tmp_path, {}, brokers) == []


@pytest.mark.parametrize(
    ("brokers", "wrong"),
    [
        ("", "''"),
        (",,,", "''"),
        ("b:9092,", "''"),
        ("a b:99999", "'a b:99999'"),
        ("good:1, b:0", "'b:0'"),
        ("b:65536", "'b:65536'"),
        ("b:", "'b:'"),
        ("::1:9092", "'::1:9092'"),
        ("[b]:1", "'[b]:1'"),
        ("PLAINTEXT://b:9092", "'PLAINTEXT://b:9092'"),
    ],
)
def test_other_brokers_are_refused_with_what_is_allowed(tmp_path: Path, brokers: str, wrong: str) -> None:
    (found,) = _mistakes(tmp_path, {}, brokers)
    assert found == (
        f"4: brokers: {wrong} is no broker: write host:port, several separated by commas, "
        "such as b-1.example.com:9092,b-2.example.com:9092"
    )


@pytest.mark.parametrize("topic", ["", "a b", "x" * 250, ".", ".."])
def test_a_topic_has_the_characters_that_kafka_allows(tmp_path: Path, topic: str) -> None:
    (found,) = _mistakes(tmp_path, {}, topic=topic)
    assert found == f"5: topic: {topic[:80]!r} is no topic: 1 to 249 characters of letters, digits and ._-"
