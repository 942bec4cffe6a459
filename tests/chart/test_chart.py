"""The chart: what it makes of values, that Kubernetes and the service take it, and what it refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.chart.readme import CHART, described, readme
from deploy.chart.rules import RULES, rules
from service.auth.authenticator import inspect
from service.config import load
from service.units import parse_duration
from tests.chart.conftest import Helm, Manifest, container, of_kind, only, pod, workload
from tests.chart.matrix import CONFIG, CONSUMING, MATRIX, STORED, WRONG

FOREIGN = {"ServiceMonitor", "PrometheusRule", "ScaledObject"}
"""Kinds that clusters have from elsewhere: their schemas are not at hand."""
MATRICES = pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX.keys())


def test_what_is_written_by_a_command_is_up_to_date() -> None:
    """If this fails: make generated."""
    assert (CHART / "README.md").read_text("utf-8") == readme()
    assert RULES.read_text("utf-8") == rules()


def test_every_value_is_described_and_has_a_place_in_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))["properties"]
    for name, _, meaning in described():
        outer, _, inner = name.partition(".")
        assert meaning, name
        assert outer in schema
        assert not inner or inner in schema[outer]["properties"], name
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    assert set(schema) - {"global"} == set(values)
    for name, value in values.items():
        if schema[name].get("additionalProperties") is False and name != "config":
            assert set(schema[name]["properties"]) == set(value), name


def test_the_schema_knows_every_section_of_the_configuration() -> None:
    from service.config.settings import Tree

    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))["properties"]["config"]["properties"]
    assert set(Tree.model_fields) <= set(schema)


@MATRICES
def test_lint_is_strict_and_finds_nothing(helm: Helm, values: dict[str, Any]) -> None:
    assert helm.ask(lint=values)["findings"] == []


@MATRICES
def test_kubernetes_takes_every_manifest(helm: Helm, values: dict[str, Any]) -> None:
    known = [each for each in helm.manifests(values) if each["kind"] not in FOREIGN]
    assert len(known) >= 7
    assert helm.ask(validate=known)["errors"] == []


def test_kubernetes_would_not_take_anything(helm: Helm) -> None:
    broken, wrong = workload(helm.manifests()), workload(helm.manifests())
    broken["spec"]["replica"] = 3
    wrong["spec"]["replicas"] = "three"
    nobody = {**wrong, "kind": "Deplyment"}
    assert len(helm.ask(validate=[broken, wrong, nobody])["errors"]) == 3


@MATRICES
def test_the_service_takes_the_rendered_configuration(
    helm: Helm, values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the environment and the files that the pod has: what `penstock check` asks in it."""
    manifests = helm.manifests(values)
    found = container(manifests)
    data = _config(manifests)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "keys.yaml").write_text("keys: []\n")
    (tmp_path / "keys" / "pepper").write_text("0123456789abcdef" * 2)
    for name, content in data.items():
        (tmp_path / name).write_text(content.replace("/etc/penstock-keys", str(tmp_path / "keys")))
    environment = {each["name"]: str(each.get("value", "from-a-secret")) for each in found["env"]}
    config = load(tmp_path / "penstock.yaml", environment, inspect=inspect)
    assert config.warnings == ()
    assert (config.server.host, config.admin.host) == ("0.0.0.0", "0.0.0.0")
    assert config.admin.token is not None
    assert config.admin.token.get_secret_value() == "from-a-secret"
    ports = {each["name"]: each["containerPort"] for each in found["ports"]}
    assert ports == {"http": config.server.port, "admin": config.admin.port}
    # a pod is not killed before the service has had its time
    assert pod(manifests)["terminationGracePeriodSeconds"] >= config.server.grace + values.get("preStopSeconds", 0)


def _config(manifests: list[Manifest]) -> dict[str, str]:
    (found,) = [each for each in of_kind(manifests, "ConfigMap") if "penstock.yaml" in each["data"]]
    data: dict[str, str] = found["data"]
    return data


@pytest.mark.parametrize(
    ("server", "seconds"),
    [
        ({}, 34),
        ({"deregister_delay": "0s"}, 30),
        ({"deregister_delay": 0}, 30),
        ({"deregister_delay": "30s", "drain_timeout": "1m"}, 99),
        ({"drain_timeout": "1500ms"}, 30),
        ({"grace": "2m"}, 120),
    ],
)
def test_the_time_to_end_follows_the_settings_of_the_drain(helm: Helm, server: dict[str, Any], seconds: int) -> None:
    manifests = helm.manifests({"config": {**CONFIG, "server": server}})
    assert pod(manifests)["terminationGracePeriodSeconds"] == seconds
    grace = yaml.safe_load(_config(manifests)["penstock.yaml"])["server"]["grace"]
    assert parse_duration(grace) == seconds


@pytest.mark.parametrize(
    ("server", "memory"),
    [
        ({}, "868Mi"),
        ({"memory": "64MiB"}, "196Mi"),
        ({"memory": "1GiB", "workers": 4}, "2036Mi"),
        ({"memory": 536870912}, "868Mi"),
    ],
)
def test_memory_is_what_the_budget_needs(helm: Helm, server: dict[str, Any], memory: str) -> None:
    found = container(helm.manifests({"config": {**CONFIG, "server": server}}))["resources"]
    assert found["limits"]["memory"] == found["requests"]["memory"] == memory


@MATRICES
def test_containers_may_do_nothing_that_they_need_not(helm: Helm, values: dict[str, Any]) -> None:
    for each in helm.manifests(values):
        if each["kind"] not in ("Deployment", "StatefulSet", "Job", "Pod"):
            continue
        spec = each["spec"] if each["kind"] == "Pod" else each["spec"]["template"]["spec"]
        assert spec["enableServiceLinks"] is False
        assert spec["automountServiceAccountToken"] is False
        for one in [*spec["containers"], *spec.get("initContainers", [])]:
            confined = one["securityContext"]
            assert confined["readOnlyRootFilesystem"] is True
            assert confined["runAsNonRoot"] is True
            assert confined["allowPrivilegeEscalation"] is False
            assert confined["capabilities"] == {"drop": ["ALL"]}
            assert "command" not in one, "the image has its entry point"
            assert one["resources"]["limits"]["memory"]


@MATRICES
def test_no_secret_is_rendered(helm: Helm, values: dict[str, Any]) -> None:
    manifests = helm.manifests(values)
    assert of_kind(manifests, "Secret") == []
    for each in container(manifests)["env"]:
        assert "value" not in each or each["name"] in values["env"]


def test_a_changed_configuration_or_file_rolls_the_pods_and_nothing_else_does(helm: Helm) -> None:
    def checksum(values: dict[str, Any]) -> str:
        annotations = workload(helm.manifests(values))["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/config"])

    base = checksum({"config": CONFIG})
    assert checksum({"config": CONFIG, "replicas": 7}) == base
    assert checksum({"config": CONFIG, "files": {"a.json": "{}"}}) != base
    assert checksum({"config": {**CONFIG, "logs": {"level": "debug"}}}) != base


def test_probes_ask_the_admin_port_and_a_health_check_is_no_secret(helm: Helm) -> None:
    found = container(helm.manifests({"config": CONFIG}))
    asked = {kind: found[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {kind: each["path"] for kind, each in asked.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert {each["port"] for each in asked.values()} == {"admin"}
    assert {each["scheme"] for each in asked.values()} == {"HTTP"}


def test_a_journal_has_a_claim_for_each_pod_that_stays(helm: Helm) -> None:
    manifests = helm.manifests({"config": STORED, "replicas": 3})
    found = only(manifests, "StatefulSet")["spec"]
    assert found["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = found["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    mounts = {each["name"]: each["mountPath"] for each in container(manifests)["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == "/var/lib/penstock"
    services = {each["metadata"]["name"] for each in of_kind(manifests, "Service")}
    assert found["serviceName"] in services
    elsewhere = {"config": {**STORED, "journal": {"path": "/journal"}}}
    mounts = {each["name"]: each["mountPath"] for each in container(helm.manifests(elsewhere))["volumeMounts"]}
    assert mounts["journal"] == "/journal"


def test_a_pod_that_was_scaled_away_has_its_claim_drained(helm: Helm) -> None:
    manifests = helm.manifests({"config": STORED, "replicas": 2, "drain": {"ordinals": [2, 3], "timeout": "1h"}})
    found = only(manifests, "StatefulSet")
    jobs = of_kind(manifests, "Job")
    claims = [job["spec"]["template"]["spec"]["volumes"][-1]["persistentVolumeClaim"]["claimName"] for job in jobs]
    template = found["spec"]["volumeClaimTemplates"][0]["metadata"]["name"]
    assert claims == [f"{template}-{found['metadata']['name']}-{ordinal}" for ordinal in (2, 3)]
    for job in jobs:
        spec = job["spec"]["template"]["spec"]
        assert spec["containers"][0]["args"] == ["journal", "drain", "--timeout", "1h"]
        assert job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] == "drain"
        selected = only(manifests, "StatefulSet")["spec"]["selector"]["matchLabels"]
        assert not selected.items() <= job["spec"]["template"]["metadata"]["labels"].items(), "no Service may send it"


def test_keda_has_a_trigger_for_each_topic(helm: Helm) -> None:
    manifests = helm.manifests({"config": CONSUMING, "keda": {"enabled": True}})
    found = only(manifests, "ScaledObject")
    assert [each["metadata"]["topic"] for each in found["spec"]["triggers"]] == ["orders.more", "orders.raw"]
    assert (
        "replicas" not in only(helm.manifests({"config": CONSUMING, "keda": {"enabled": True}}), "Deployment")["spec"]
    )


@MATRICES
def test_selectors_find_their_pods_and_no_others(helm: Helm, values: dict[str, Any]) -> None:
    manifests = helm.manifests(values)
    labels = workload(manifests)["spec"]["template"]["metadata"]["labels"]
    others = [each["metadata"]["labels"] for each in of_kind(manifests, "Pod")]
    selectors = [each["spec"]["selector"] for each in of_kind(manifests, "Service")]
    selectors += [each["spec"]["selector"]["matchLabels"] for each in of_kind(manifests, "PodDisruptionBudget")]
    selectors.append(workload(manifests)["spec"]["selector"]["matchLabels"])
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not any(selector.items() <= other.items() for other in others)


def test_a_new_version_of_chart_or_configuration_changes_no_selector(helm: Helm) -> None:
    before, after = helm.manifests(), helm.manifests({"config": CONFIG, "image": {"tag": "9.9.9"}})
    assert workload(before)["spec"]["selector"] == workload(after)["spec"]["selector"]


def test_two_releases_in_one_namespace_do_not_collide(helm: Helm) -> None:
    one, two = (
        {(each["kind"], each["metadata"]["name"]) for each in helm.manifests(MATRIX["everything"], name=name)}
        for name in ("one", "two")
    )
    assert not one & two
    selectors = [workload(helm.manifests(name=name))["spec"]["selector"] for name in ("one", "two")]
    assert selectors[0] != selectors[1]


@pytest.mark.parametrize("name", ["a", "penstock", "x" * 53])
def test_names_are_as_long_as_kubernetes_takes_them(helm: Helm, name: str) -> None:
    for each in helm.manifests({**MATRIX["everything"], "replicas": 1, "drain": {"ordinals": [100]}}, name=name):
        assert len(each["metadata"]["name"]) <= 63
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", each["metadata"]["name"])


@pytest.mark.parametrize(("values", "words"), WRONG, ids=[str(wrong) for wrong, _ in WRONG])
def test_wrong_values_are_refused_with_the_reason(helm: Helm, values: dict[str, Any], words: str) -> None:
    assert words in helm.refusal(values)


def test_alarms_are_those_of_the_page(helm: Helm) -> None:
    found = only(helm.manifests({"prometheusRule": {"enabled": True}}), "PrometheusRule")
    assert found["spec"] == yaml.safe_load(rules())


def test_metrics_are_scraped_with_the_admin_token_from_the_admin_service(helm: Helm) -> None:
    manifests = helm.manifests({"serviceMonitor": {"enabled": True}})
    monitor = only(manifests, "ServiceMonitor")["spec"]
    found = [
        each
        for each in of_kind(manifests, "Service")
        if monitor["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items()
    ]
    assert [each["metadata"]["name"] for each in found] == ["demo-penstock-admin"]
    assert monitor["endpoints"][0]["port"] in {port["name"] for port in found[0]["spec"]["ports"]}
    token = next(each for each in container(manifests)["env"] if each["name"] == "PENSTOCK_ADMIN_TOKEN")
    assert monitor["endpoints"][0]["authorization"]["credentials"] == token["valueFrom"]["secretKeyRef"]
