"""Values that look harmless and are not: text that YAML reads as something else, large numbers, files as they come."""

from typing import Any

import pytest

from tests.chart.conftest import Helm, Manifest, container, of_kind, only, pod
from tests.chart.matrix import CONFIG, CONSUMING


@pytest.mark.parametrize(
    "content", ["", "{}", "{}\n", "{}\n\n\n", "\n\n{}\n", '   {"a":1}\n {"b":2}\n', "\tx\r\n y\u2028z", "- a\n-   b\n"]
)
def test_a_file_is_there_as_it_was_given(helm: Helm, content: str) -> None:
    data = _config(helm.manifests({"config": CONFIG, "files": {"order.json": content, "1": "one", "true": "yes"}}))
    assert data["order.json"] == content
    assert (data["1"], data["true"]) == ("one", "yes")


def _config(manifests: list[Manifest]) -> dict[str, str]:
    (found,) = [each for each in of_kind(manifests, "ConfigMap") if "penstock.yaml" in each["data"]]
    data: dict[str, str] = found["data"]
    return data


@pytest.mark.parametrize(
    ("value", "text"), [(123456789012, "123456789012"), (10**7, "10000000"), (-7, "-7"), (1.5, "1.5"), (True, "true")]
)
def test_a_number_is_the_text_that_was_written(helm: Helm, value: object, text: str) -> None:
    variables = {each["name"]: each.get("value") for each in container(helm.manifests({"env": {"A": value}}))["env"]}
    assert variables["A"] == text


def test_keda_can_read_a_large_threshold(helm: Helm) -> None:
    found = only(
        helm.manifests({"config": CONSUMING, "keda": {"enabled": True, "lagThreshold": 10**6}}), "ScaledObject"
    )
    assert found["spec"]["triggers"][0]["metadata"]["lagThreshold"] == "1000000"


def test_text_that_yaml_would_read_as_something_else_stays_text(helm: Helm) -> None:
    values = {
        "config": CONFIG,
        "nameOverride": "1",
        "fullnameOverride": "penstock",
        "priorityClassName": "true",
        "ingress": {"enabled": True, "className": "1", "host": "*.example.com", "tlsSecret": "0"},
        "image": {"pullSecrets": ["1"]},
        "test": {"route": "on", "keySecret": "1", "caSecret": "2"},
    }
    manifests = helm.manifests(values, name="123")
    assert only(manifests, "Ingress")["spec"]["rules"][0]["host"] == "*.example.com"
    assert helm.ask(validate=manifests)["errors"] == []


def test_helm_test_reaches_what_a_network_policy_keeps_others_from(helm: Helm) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]
    manifests = helm.manifests({"networkPolicy": {"producers": peers, "operators": peers}})
    labels = only(manifests, "Pod")["metadata"]["labels"]
    rules = only(manifests, "NetworkPolicy")["spec"]["ingress"]
    assert len(rules) == 2
    for rule in rules:
        tested, *rest = rule["from"]
        assert tested["podSelector"]["matchLabels"].items() <= labels.items()
        assert rest == peers
        pods = tested["podSelector"]["matchLabels"]
        assert not pods.items() <= pod_labels(manifests).items(), "only the test"


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        ("http://collector.tracing:4318", 4318),
        ("https://collector.example.com/v1/traces", 443),
        ("http://collector", 80),
        ("${COLLECTOR}", None),
    ],
)
def test_the_collector_of_traces_is_let_through(helm: Helm, endpoint: str, port: int | None) -> None:
    manifests = helm.manifests({"config": {**CONFIG, "tracing": {"endpoint": endpoint}}})
    policy = only(manifests, "NetworkPolicy")["spec"]["egress"]
    plain = only(helm.manifests({"config": CONFIG}), "NetworkPolicy")["spec"]["egress"]
    assert [rule for rule in policy if rule not in plain] == (
        [] if port in (None, 443) else [{"ports": [{"port": port, "protocol": "TCP"}]}]
    )
    assert helm.ask(validate=manifests)["errors"] == []


def pod_labels(manifests: list[Manifest]) -> dict[str, str]:
    """Of the gateway."""
    labels: dict[str, str] = only(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    return labels


def test_with_tls_probes_scrapes_and_the_test_speak_it(helm: Helm) -> None:
    tls = {"certificate": "/etc/penstock-secrets/tls/tls.crt", "key": "/etc/penstock-secrets/tls/tls.key"}
    values: dict[str, Any] = {
        "config": {**CONFIG, "server": {"tls": tls}, "admin": {"tls": tls}},
        "secretMounts": {"tls": "penstock-tls"},
        "serviceMonitor": {"enabled": True},
        "test": {"route": "orders", "caSecret": "penstock-tls"},
    }
    manifests = helm.manifests(values)
    found = container(manifests)
    assert {found[f"{each}Probe"]["httpGet"]["scheme"] for each in ("startup", "liveness", "readiness")} == {"HTTPS"}
    assert only(manifests, "ServiceMonitor")["spec"]["endpoints"][0]["scheme"] == "https"
    test = only(manifests, "Pod")["spec"]
    (secret,) = [each["secret"] for each in test["volumes"] if "secret" in each]
    assert secret["secretName"] == "penstock-tls"
    for each in (*test["initContainers"], *test["containers"]):
        assert [word for word in each["args"] if word.startswith("https://")]
        assert each["args"][each["args"].index("--ca") + 1] == "/ca/ca.crt"
        assert "/ca" in {mount["mountPath"] for mount in each["volumeMounts"]}
    assert "secret-tls" in {each["name"] for each in pod(manifests)["volumes"]}
