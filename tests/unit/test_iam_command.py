"""`penstock generate iam-policy` and `trust-policy`, as they are called."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from service.cli import app

ACCOUNT = "123456789012"
ROLE = "arn:aws:iam::210987654321:role/billing"
SETTINGS: dict[str, Any] = {
    "aws": {"region": "eu-west-1"},
    "sinks": {
        "orders": {"type": "kinesis", "stream": "orders"},
        "billing": {"type": "sqs", "queue": "billing", "role_arn": ROLE, "external_id": "shop"},
        "idle": {"type": "sqs", "queue": "idle"},
        "mirror": {"type": "kafka", "brokers": "b.example.com:9098", "topic": "orders", "auth": "iam"},
        "letters": {"type": "file", "path": "letters"},
    },
    "routes": {"orders": {"to": ["orders", "billing"], "dead_letter": "letters"}},
}
CLUSTER = f"arn:aws:kafka:eu-west-1:{ACCOUNT}:cluster/demo/0f1e-2"


def run(*arguments: str) -> Result:
    """What the command said."""
    return CliRunner().invoke(app, ["generate", *arguments], env={"COLUMNS": "200", "NO_COLOR": "1"})


def policy(folder: Path, *options: str, **changes: Any) -> Result:
    """What `iam-policy` said of the settings."""
    path = folder / "penstock.yaml"
    path.write_text(yaml.safe_dump(SETTINGS | changes))
    return run("iam-policy", "--config", str(path), *options)


def test_the_policy_is_one_document_and_the_notes_are_beside_it(tmp_path: Path) -> None:
    done = policy(tmp_path, "--account", ACCOUNT)
    assert done.exit_code == 0, done.stderr
    made = json.loads(done.stdout)
    assert [statement["Resource"] for statement in made["Statement"]] == [
        f"arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/orders",
        ROLE,
    ]
    assert f"what is done as {ROLE} is not in this policy" in done.stderr
    assert "--kms-key [NAME=]ARN" in done.stderr
    assert "sinks.idle: no route uses it" in done.stderr


def test_the_policy_of_another_role_is_asked_for_by_its_arn_and_knows_its_account(tmp_path: Path) -> None:
    done = policy(tmp_path, "--role", ROLE)
    (statement,) = json.loads(done.stdout)["Statement"]
    assert statement["Resource"] == "arn:aws:sqs:eu-west-1:210987654321:billing"
    wrong = policy(tmp_path, "--role", ROLE + "s")
    assert wrong.exit_code == 2
    assert ROLE in wrong.stderr


def test_without_an_account_it_says_so_and_prints_nothing(tmp_path: Path) -> None:
    done = policy(tmp_path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "--account" in done.stderr


def test_a_template_needs_no_account(tmp_path: Path) -> None:
    done = policy(tmp_path, "--format", "cloudformation")
    assert "!Sub 'arn:${AWS::Partition}:kinesis:eu-west-1:${AWS::AccountId}:stream/orders'" in done.stdout


def test_keys_are_given_to_all_or_by_name(tmp_path: Path) -> None:
    key = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"
    for given in (key, f"orders={key}"):
        made = json.loads(policy(tmp_path, "--account", ACCOUNT, "--kms-key", given).stdout)
        assert [each["Resource"] for each in made["Statement"] if each["Action"] == "kms:GenerateDataKey"] == [key]
    made = json.loads(policy(tmp_path, "--account", ACCOUNT, "--kms-key", f"billing={key}").stdout)
    assert all(each["Action"] != "kms:GenerateDataKey" for each in made["Statement"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--account", "12345"), "an account has 12 digits"),
        (("--kms-key", "arn:aws:kms:eu-west-1:123456789012:alias/a"), "is no such ARN"),
        (("--kms-key", "nobody=arn:aws:kms:eu-west-1:123456789012:key/a"), "is no sink or source that calls AWS"),
        (("--msk-cluster", "demo"), "is no such ARN"),
        (("--account", ACCOUNT, "--part", "2"), "there is 1 part"),
    ],
)
def test_what_is_no_option_is_refused(options: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = policy(tmp_path, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


def test_the_cluster_of_msk_is_asked_for(tmp_path: Path) -> None:
    routes = {"orders": {"to": ["mirror"]}}
    done = policy(tmp_path, "--account", ACCOUNT, routes=routes)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "--msk-cluster mirror=arn" in done.stderr
    made = json.loads(policy(tmp_path, "--msk-cluster", CLUSTER, routes=routes).stdout)
    assert made["Statement"][1]["Resource"] == CLUSTER.replace(":cluster/", ":topic/") + "/orders"


def test_doctor_adds_what_it_alone_needs(tmp_path: Path) -> None:
    given = {"routes": {"orders": {"to": ["mirror"]}}}
    with_it = policy(tmp_path, "--msk-cluster", CLUSTER, "--doctor", **given).stdout
    without = policy(tmp_path, "--msk-cluster", CLUSTER, **given).stdout
    assert "DescribeTopicDynamicConfiguration" in with_it
    assert "DescribeTopicDynamicConfiguration" not in without


def test_what_is_too_long_is_asked_for_in_parts(tmp_path: Path) -> None:
    sinks = {f"s{n}": {"type": "sqs", "queue": f"{n:03}" + "q" * 70, "memory": "1MiB"} for n in range(60)}
    settings = {"sinks": sinks, "routes": {"orders": {"to": list(sinks)}}}
    done = policy(tmp_path, "--account", ACCOUNT, **settings)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "it is 2 policies, `--part 1`" in done.stderr
    found = [json.loads(policy(tmp_path, "--account", ACCOUNT, "--part", n, **settings).stdout) for n in ("1", "2")]
    resources = [arn for each in found for statement in each["Statement"] for arn in statement["Resource"]]
    assert len(set(resources)) == len(resources) == len(sinks)


def test_a_configuration_without_aws_needs_no_policy(tmp_path: Path) -> None:
    done = policy(tmp_path, routes={"orders": {"to": ["letters"]}})
    assert (done.exit_code, done.stdout) == (1, "")
    assert "needs no policy" in done.stderr


def test_a_sink_of_somebody_elses_that_says_nothing_is_named(tmp_path: Path) -> None:
    theirs = {"type": "examples.custom_sink.webhook:Webhook", "url": "https://example.com"}
    sinks = SETTINGS["sinks"] | {"theirs": theirs}
    done = policy(tmp_path, "--account", ACCOUNT, sinks=sinks, routes={"orders": {"to": ["orders", "theirs"]}})
    assert "sinks.theirs is somebody else's, and does not say what it needs" in done.stderr


def trust(*options: str) -> Any:
    """The one statement of a trust policy."""
    done = run("trust-policy", *options)
    assert done.exit_code == 0, done.stderr
    (statement,) = json.loads(done.stdout)["Statement"]
    return statement


def test_ecs_takes_the_role_for_tasks_of_this_account_alone() -> None:
    assert trust("--for", "ecs", "--account", ACCOUNT, "--region", "us-gov-west-1") == {
        "Effect": "Allow",
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:aws-us-gov:ecs:us-gov-west-1:{ACCOUNT}:*"},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        },
    }


def test_irsa_takes_it_for_one_service_account_alone() -> None:
    given = ("--account", ACCOUNT, "--namespace", "shop", "--service-account", "gate")
    provider = "oidc.eks.cn-north-1.amazonaws.com.cn/id/0F1E"
    assert trust("--for", "irsa", "--oidc-provider", f"https://{provider}", *given) == {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws-cn:iam::{ACCOUNT}:oidc-provider/{provider}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{provider}:aud": "sts.amazonaws.com",
                f"{provider}:sub": "system:serviceaccount:shop:gate",
            }
        },
    }


def test_pod_identity_tags_its_sessions_and_is_held_to_them() -> None:
    cluster = f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/shop"
    assert trust("--for", "pod-identity", "--namespace", "shop", "--cluster", cluster) == {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {
            "StringEquals": {
                "aws:RequestTag/eks-cluster-arn": cluster,
                "aws:RequestTag/kubernetes-namespace": "shop",
                "aws:RequestTag/kubernetes-service-account": "penstock",
            }
        },
    }


def test_another_role_is_taken_by_the_services_own() -> None:
    own = f"arn:aws:iam::{ACCOUNT}:role/penstock"
    statement = trust("--for", "role", "--role", own, "--external-id", "shop")
    assert statement["Principal"] == {"AWS": own}
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": "shop"}}
    assert "Condition" not in trust("--for", "role", "--role", own)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (("--for", "ecs", "--region", "eu-west-1"), "--account"),
        (("--for", "ecs", "--account", ACCOUNT), "--region"),
        (("--for", "irsa", "--account", ACCOUNT), "--oidc-provider"),
        (("--for", "irsa", "--account", ACCOUNT, "--oidc-provider", "https://x"), "--oidc-provider"),
        (("--for", "role"), "--role"),
    ],
)
def test_a_trust_policy_says_what_it_needs(options: tuple[str, ...], option: str) -> None:
    done = run("trust-policy", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert option in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--for", "ecs", "--account", ACCOUNT, "--region", "a b"),
        ("--for", "ecs", "--account", ACCOUNT, "--region", "eu-west-1", "--partition", "x y"),
        ("--for", "irsa", "--account", ACCOUNT, "--oidc-provider", "oidc.example.com/id/A", "--namespace", "*"),
        ("--for", "pod-identity", "--service-account", "*"),
        ("--for", "pod-identity", "--cluster", "shop"),
        ("--for", "role", "--role", "penstock"),
        ("--for", "role", "--role", ROLE, "--external-id", ""),
    ],
)
def test_what_iam_would_refuse_or_never_match_is_in_no_trust_policy(options: tuple[str, ...]) -> None:
    done = run("trust-policy", *options)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert f"{options[-2]}:" in done.stderr


def test_a_partition_is_one_and_a_template_has_no_parts(tmp_path: Path) -> None:
    wrong = policy(tmp_path, "--account", ACCOUNT, "--partition", "x y")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert policy(tmp_path, "--format", "cloudformation", "--part", "1").exit_code == 2
    assert "arn:aws-iso-b:kinesis" in policy(tmp_path, "--account", ACCOUNT, "--partition", "aws-iso-b").stdout
