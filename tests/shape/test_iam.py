"""What `penstock generate iam-policy` allows is what the code asks AWS for, and IAM understands it."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.config import Config, load
from service.iam.naming import Names, Said
from service.iam.needs import needs
from service.iam.policy import document, parts, roles, statements
from tests.shape.iam_world import (
    ACCOUNT,
    ACTION,
    PARTITIONS,
    SERVICE,
    closure,
    configured,
    ends,
    opens,
    operations,
)
from tests.shape.parliament import findings

CALLERS: Mapping[str, tuple[str, ...]] = {
    "sinks/kinesis.py": ("stream", "stream_arn", "other_stream"),
    "sinks/firehose.py": ("lake", "lake_arn"),
    "sinks/sqs.py": ("queue", "queue_arn", "queue_url", "other_queue"),
    "sources/sqs/source.py": ("uploads",),
}
"""Modules of those that call AWS, and which of the configured ends they are."""
KEYS = {SERVICE / "auth" / "keyplace.py", SERVICE / "auth" / "examination.py"}
FREE = {"sts"}
"""Who am I: everybody may ask that (STS API reference, GetCallerIdentity). Assuming a role has a test of its own."""
BEHIND_KEYS = {"kms:Decrypt", "kms:GenerateDataKey"}
"""What a service does with a key on behalf of the role: no code of ours calls it."""


def configuration(folder: Path, settings: Mapping[str, Any]) -> Config:
    """The checked configuration of these settings."""
    path = folder / "penstock.yaml"
    path.write_text(yaml.safe_dump(dict(settings)))
    return load(path, {})


def allowed(config: Config, **given: Any) -> set[str]:
    """Every action that any role is allowed, if `doctor` may run too."""
    return {action for need in needs(config, doctor=True, **given) for action in need.permission.actions}


@pytest.mark.parametrize("module", CALLERS)
def test_an_end_is_allowed_what_its_code_asks_for_and_nothing_else(module: str, tmp_path: Path) -> None:
    """If this fails: the plugin's `Config.permissions` and its calls differ."""
    asked = {ACTION.get(each, each) for each in operations(SERVICE / module)}
    assert asked
    assert allowed(configuration(tmp_path, configured("eu-west-1", *CALLERS[module]))) - BEHIND_KEYS == asked


def test_metrics_are_allowed_what_they_ask_for_in_their_namespace_alone(tmp_path: Path) -> None:
    settings = configured("eu-west-1", "local") | {"cloudwatch": {"mode": "api", "namespace": "Shop"}}
    (need,) = needs(configuration(tmp_path, settings))
    assert set(need.permission.actions) == operations(SERVICE / "cloudwatch" / "api.py")
    assert need.permission.equals == (("cloudwatch:namespace", "Shop"),)
    assert not allowed(configuration(tmp_path, settings | {"cloudwatch": {"mode": "emf"}}))


def test_the_keys_of_producers_are_read_with_what_is_allowed_for_them() -> None:
    assert all(operations(path) == {"secretsmanager:GetSecretValue"} for path in KEYS)


def test_whoever_opens_a_client_of_aws_is_among_those_that_are_compared() -> None:
    """If this fails: add the module's end to CALLERS. `dlq` acts for the operator, whose permissions are their own."""
    compared = set[Path]().union(*(closure(SERVICE / module) for module in [*CALLERS, "cloudwatch/api.py"])) | KEYS
    opening = {path for path in SERVICE.rglob("*.py") if opens(path) - FREE}
    assert opening
    assert {str(path.relative_to(SERVICE)) for path in opening - compared if path.parent.name != "dlq"} == set()


def test_every_kind_of_sink_and_source_is_configured_here() -> None:
    from service import plugins

    kinds = ends("eu-west-1")
    without = {"memory", "stdout"}  # nothing outside the process
    assert {each["type"] for each in kinds["sinks"].values()} == set(plugins.known("sinks")) - without
    assert {each["type"] for each in kinds["sources"].values()} == set(plugins.known("sources"))


def policies(folder: Path, region: str, *names: str) -> Iterator[dict[str, Any]]:
    """The policies of every role, with keys and without."""
    config = configuration(folder, configured(region, *names))
    partition = PARTITIONS[region]
    cluster = {"": f"arn:{partition}:kafka:{region}:{ACCOUNT}:cluster/demo/0f1e-2d3c-4"}
    key = {"": f"arn:{partition}:kms:{region}:{ACCOUNT}:key/0f1e2d3c"}
    asked = needs(config, doctor=True)
    for role in (None, *roles(asked)):
        for keys in ({}, key):
            policy = statements(asked, role, Names(Said(region, ACCOUNT), cluster, keys))
            yield from (document(part) for part in parts(policy))


def test_parliament_finds_nothing_in_any_policy(tmp_path: Path) -> None:
    made = tmp_path / "policies"
    made.mkdir()
    alone = [(name,) for kind in ends("eu-west-1").values() for name in kind if name not in ("local", "pushed")]
    matrix = [(region, *names) for region in PARTITIONS for names in ((), *alone)]
    found = [policy for each in matrix for policy in policies(tmp_path, *each)]
    assert len(found) > 3 * len(alone)
    for number, policy in enumerate(found):
        (made / f"{number}.json").write_text(json.dumps(policy))
    assert findings(made) == []


@pytest.mark.parametrize(
    ("wrong", "issue"),
    [
        (("kinesis:PutRecords", "kinesis:PutRecord5"), "UNKNOWN_ACTION"),
        ((":stream/", ":streams/"), "RESOURCE_MISMATCH"),
        (("cloudwatch:namespace", "cloudwatch:name"), "UNKNOWN_CONDITION_FOR_ACTION"),
        (('"arn:aws:firehose:eu-west-1:123456789012:deliverystream/lake"', '"*"'), "RESOURCE_STAR"),
    ],
)
def test_parliament_would_find_a_mistake(wrong: tuple[str, str], issue: str, tmp_path: Path) -> None:
    policy, *_ = policies(tmp_path, "eu-west-1")
    text = json.dumps(policy)
    assert wrong[0] in text
    made = tmp_path / "policies"
    made.mkdir()
    (made / "policy.json").write_text(text.replace(*wrong))
    assert any(issue in each for each in findings(made))


def test_no_action_is_a_wildcard_and_no_resource_without_a_reason(tmp_path: Path) -> None:
    for policy in policies(tmp_path, "eu-west-1"):
        for statement in policy["Statement"]:
            assert "*" not in json.dumps(statement["Action"])
            resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            for resource in resources:
                known = re.sub(r"\$\{[*?$]\}", "", resource)
                assert "*" not in known or "Condition" in statement or known.endswith(":topic/demo/0f1e-2d3c-4/shop.*")
