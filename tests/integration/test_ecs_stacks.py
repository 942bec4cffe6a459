"""The stacks of deploy/ecs in the AWS emulator, as far as it knows their resources: the policy, and the task with it.

It makes no load balancer's rules, scaling or deployments: cfn-lint has looked at those.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest

FOLDER = Path(__file__).parents[2] / "deploy" / "ecs"
DIGEST = "sha256:" + "0" * 64

Client = Callable[[str], Any]


@pytest.fixture
def client(emulator: str) -> Client:
    session = botocore.session.Session()
    known = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    return lambda service: session.create_client(service, endpoint_url=emulator, **known)


def made(cloudformation: Any, name: str, **given: str) -> dict[str, str]:
    """The outputs of a new stack."""
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    text = (FOLDER / f"{name}.yaml").read_text("utf-8")
    cloudformation.create_stack(
        StackName=f"ecs-{name}", TemplateBody=text, Parameters=parameters, Capabilities=["CAPABILITY_IAM"]
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=f"ecs-{name}", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    (stack,) = cloudformation.describe_stacks(StackName=f"ecs-{name}")["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def test_a_task_has_the_policy_that_was_generated_and_the_configuration_that_was_given(client: Client) -> None:
    cloudformation = client("cloudformation")
    policies = made(cloudformation, "policy")["PolicyArns"]
    config = (FOLDER / "penstock.yaml").read_text("utf-8")
    task = made(
        cloudformation, "task", Repository="penstock", Digest=DIGEST, Config=config, PolicyArns=policies, LogDays="7"
    )
    (policy,) = policies.split(",")
    version = client("iam").get_policy_version(PolicyArn=policy, VersionId="v1")["PolicyVersion"]
    document = version["Document"] if isinstance(version["Document"], dict) else json.loads(version["Document"])
    resources = [statement["Resource"] for statement in document["Statement"]]
    assert resources == [
        "arn:aws:kinesis:us-east-1:000000000000:stream/orders",
        "arn:aws:firehose:us-east-1:000000000000:deliverystream/lake",
        "arn:aws:sqs:us-east-1:000000000000:letters",
    ]
    role = task["TaskRole"].rpartition("/")[2]
    attached = client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert [each["PolicyArn"] for each in attached] == [policy]
    described = client("ecs").describe_task_definition(taskDefinition=task["TaskDefinition"])["taskDefinition"]
    assert (described["taskRoleArn"], described["executionRoleArn"]) == (task["TaskRole"], task["ExecutionRole"])
    (container,) = described["containerDefinitions"]
    environment = {each["name"]: each["value"] for each in container["environment"]}
    assert environment["PENSTOCK_CONFIG_YAML"] == config
    assert environment["PENSTOCK__SERVER__GRACE"] == "30s"
    assert container["image"].endswith(f"/penstock@{DIGEST}")
