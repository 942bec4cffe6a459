"""deploy/ecs is sound CloudFormation, and agrees with the service: times, ports, commands, metrics, permissions."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import ManualArgs, lint
from typer.main import get_command

from service.cli import app
from service.cloudwatch.names import BY_NAME, By
from service.config import Config, load
from service.config.cloudwatch import FLUSH_SECONDS
from service.config.settings import LAST_ANSWERS_SECONDS, ServerConfig
from service.errors import ConfigError
from service.iam import trust
from service.iam.naming import Names, Stack
from service.iam.needs import needs
from service.iam.policy import statements
from service.iam.template import template as policy_template
from tests.shape.ecs_world import FOLDER, TEMPLATES, Filled, parameters, policies
from tests.shape.parliament import findings

ROOT = FOLDER.parents[1]
README = (FOLDER / "README.md").read_text("utf-8")
LINTED = ManualArgs(include_checks=["I"], regions=["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"])
EVERYTHING = ("FireLens", "ConfigThere", "Keys", "Pepper", "SecretsKey")
NOT_FOUND_RIGHT = (
    "LOW RESOURCE_STAR: ['cloudwatch:DescribeAlarms']",  # of composite alarms, says the CloudWatch API reference
    "elasticloadbalancing:ModifyListener",  # wants a listener of both kinds of load balancer
    "codedeploy:PutLifecycleEventHookExecutionStatus",  # its data know no resource; AWS SAM's pages do
)
"""Where parliament, or what it knows, is behind AWS."""
KEYS = "keys: [{name: shop, hmac_sha256: " + "0" * 64 + "}]"


def faults(text: str) -> list[str]:
    """What cfn-lint has to say of a template: errors, warnings and notes."""
    return [f"{match.rule.id} {match.message}" for match in lint(text, config=LINTED)]


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Config:
    """The example, as a task of the example's template has it."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    (container,) = task()["ContainerDefinitions"]
    environment = {each["Name"]: each["Value"] for each in container["Environment"]}
    text = (FOLDER / "penstock.yaml").read_text("utf-8")
    return load(None, {"PENSTOCK_CONFIG_YAML": text, "PENSTOCK_KEYS": KEYS, "PENSTOCK_PEPPER": "-" * 64, **environment})


def task(*conditions: str) -> Any:
    """The task definition."""
    return Filled("task", conditions, Config="routes: {}").resources["TaskDefinition"]


def attributes(resource: Any, kind: str) -> dict[str, Any]:
    """Of a load balancer or a target group."""
    return {each["Key"]: each["Value"] for each in resource[kind]}


@pytest.mark.parametrize("name", TEMPLATES)
def test_cfn_lint_finds_nothing(name: str) -> None:
    assert faults((FOLDER / f"{name}.yaml").read_text("utf-8")) == []


def test_cfn_lint_would_find_something() -> None:
    text = (FOLDER / "service.yaml").read_text("utf-8")
    assert faults(text.replace("!Ref Blue", "!Ref Blau", 1))
    assert faults(text.replace("DesiredCount: !Ref MinTasks", "DesiredCount: two"))


def test_the_policy_is_what_the_example_needs(config: Config) -> None:
    """If this fails: make generated."""
    made = policy_template(statements(needs(config), None, Names(Stack())), None)
    assert (FOLDER / "policy.yaml").read_text("utf-8") == made


def test_the_example_stores_nothing_on_a_disk_that_goes_with_the_task(config: Config) -> None:
    assert {route.ack for route in config.routes.values()} == {"delivered"}


def test_the_times_of_the_task_the_load_balancer_and_the_service_are_one_chain(config: Config) -> None:
    """From inside out: patience, requests, the load balancer, idle connections; and the drain within the stop."""
    server, (container,) = config.server, task()["ContainerDefinitions"]
    balanced = Filled("service").resources
    idle = attributes(balanced["LoadBalancer"], "LoadBalancerAttributes")["idle_timeout.timeout_seconds"]
    leaving = attributes(balanced["Blue"], "TargetGroupAttributes")["deregistration_delay.timeout_seconds"]
    assert max(sink.patience for sink in config.sinks.values()) + 1 <= server.request_timeout
    assert server.request_timeout < idle == server.load_balancer_idle < server.keep_alive
    assert leaving > server.request_timeout
    drained = server.deregister_delay + server.drain_timeout + LAST_ANSWERS_SECONDS + FLUSH_SECONDS
    assert drained <= server.grace == container["StopTimeout"]
    assert parameters("task")["IdleTimeout"] == parameters("service")["IdleTimeout"]
    # an answer of /readyz that says no is heard before the public port closes
    check = balanced["Blue"]
    noticed = check["HealthCheckIntervalSeconds"] * (check["UnhealthyThresholdCount"] - 1)
    assert noticed <= server.deregister_delay


def test_the_templates_times_are_the_defaults_of_the_service() -> None:
    default = ServerConfig()
    assert parameters("task")["StopTimeout"] == default.grace
    assert parameters("task")["IdleTimeout"] == default.load_balancer_idle


@pytest.mark.parametrize(("name", "value"), [("GRACE", "20s"), ("LOAD_BALANCER_IDLE", "20s")])
def test_a_stack_with_other_times_starts_no_service_that_does_not_fit(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    text = (FOLDER / "penstock.yaml").read_text("utf-8")
    with pytest.raises(ConfigError, match=name.lower()):
        load(
            None,
            {
                "PENSTOCK_CONFIG_YAML": text,
                "PENSTOCK_KEYS": KEYS,
                "PENSTOCK_PEPPER": "-" * 64,
                f"PENSTOCK__SERVER__{name}": value,
            },
        )


@pytest.mark.parametrize("conditions", [(), EVERYTHING], ids=["plain", "everything"])
def test_a_container_has_no_more_rights_than_it_needs(conditions: tuple[str, ...]) -> None:
    container = task(*conditions)["ContainerDefinitions"][0]
    assert container["ReadonlyRootFilesystem"] is True
    assert container["LinuxParameters"] == {"Capabilities": {"Drop": ["ALL"]}}
    assert container["User"] not in ("0", "root", "0:0")
    assert "Privileged" not in container
    assert "@" in container["Image"]
    assert [port["ContainerPort"] for port in container["PortMappings"]] == [ServerConfig().port]


@pytest.mark.skipif(not (ROOT / "Dockerfile").exists(), reason="there is no image to compare with")
def test_the_container_is_the_images() -> None:
    (container,) = task()["ContainerDefinitions"]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert f"USER {container['User']}\n" in dockerfile
    how, program, command = container["HealthCheck"]["Command"]
    assert (how, program) == ("CMD", "penstock")
    assert command in getattr(get_command(app), "commands")  # noqa: B009 - of a group, which mypy does not see
    assert re.search(r'"/opt/penstock/bin/penstock", "(\w+)"\]', dockerfile)[1] == command  # type: ignore[index]


def test_logs_and_metrics_go_one_way_or_the_other_and_nothing_waits_for_them() -> None:
    (plain,) = task()["ContainerDefinitions"]
    assert plain["LogConfiguration"]["LogDriver"] == "awslogs"
    assert plain["LogConfiguration"]["Options"]["mode"] == "non-blocking"
    assert "DependsOn" not in plain
    routed, router = task("FireLens")["ContainerDefinitions"]
    assert routed["LogConfiguration"]["LogDriver"] == "awsfirelens"
    assert routed["LogConfiguration"]["Options"]["log_key"] == "log"  # lines as they are: CloudWatch looks for `_aws`
    assert routed["DependsOn"] == [{"ContainerName": router["Name"], "Condition": "START"}]
    assert "FirelensConfiguration" in router


def test_the_text_of_the_configuration_comes_one_way_at_a_time() -> None:
    def named(*conditions: str) -> list[str]:
        (container,) = task(*conditions)["ContainerDefinitions"]
        return [each["Name"] for each in (*container["Environment"], *container["Secrets"])]

    always = ["PENSTOCK__SERVER__GRACE", "PENSTOCK__SERVER__LOAD_BALANCER_IDLE", "AWS_REGION"]
    assert named() == always
    assert named("ConfigHere", "Keys", "Pepper") == [
        *always,
        "PENSTOCK_CONFIG_YAML",
        "PENSTOCK_KEYS",
        "PENSTOCK_PEPPER",
    ]
    assert named("ConfigThere") == [*always, "PENSTOCK_CONFIG_YAML"]


def test_roles_are_taken_by_tasks_as_the_trust_policy_says() -> None:
    expected = trust.ecs("123456789012", "eu-west-1", "aws")
    expected["Statement"][0]["Action"] = "sts:AssumeRole"
    roles = Filled("task").resources
    for role in ("ExecutionRole", "TaskRole"):
        assert roles[role]["AssumeRolePolicyDocument"] == expected


def test_parliament_finds_nothing_in_the_policies_of_the_templates(tmp_path: Path) -> None:
    arns = {
        "ConfigParameter": "/penstock/config",
        "KeysSecret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:keys-aB1",
        "PepperSecret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pepper-aB1",
        "SecretsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1",
        "Repository": "penstock",
        "LogRouterRepository": "fluent-bit",
        "LogGroup": "penstock",
        "TaskRole": "arn:aws:iam::123456789012:role/a",
        "ExecutionRole": "arn:aws:iam::123456789012:role/b",
        "Listener": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/a/1/2",
        "TestListener": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/a/1/3",
    }
    made = {
        "arn:LogGroup.Arn": "arn:aws:logs:eu-west-1:123456789012:log-group:penstock:*",
        "arn:Ask.Arn": "arn:aws:lambda:eu-west-1:123456789012:function:ask",
    }
    found = [
        policy
        for name, conditions in (("task", ()), ("task", EVERYTHING), ("blue-green", ()), ("policy", ()))
        for policy in policies(Filled(name, conditions, **arns).resources)
    ]
    assert len(found) >= 6
    for number, policy in enumerate(found):
        text = json.dumps(policy)
        for name, arn in made.items():
            text = text.replace(f'"{name}"', f'"{arn}"')
        (tmp_path / f"{number}.json").write_text(text)
    assert [each for each in findings(tmp_path) if not any(known in each for known in NOT_FOUND_RIGHT)] == []


def test_only_producers_reach_the_load_balancer_and_only_that_the_tasks() -> None:
    found = Filled("service", ("CodeDeploy", "Brokers"), ClientCidr="10.0.0.0/8", BrokersCidr="10.1.0.0/16").resources
    balancer, tasks = found["LoadBalancerSecurityGroup"], found["TaskSecurityGroup"]
    assert [(each["CidrIp"], each["ToPort"]) for each in balancer["SecurityGroupIngress"]] == [
        ("10.0.0.0/8", 443),
        ("127.0.0.1/32", 8443),
    ]
    assert [each["SourceSecurityGroupId"] for each in tasks["SecurityGroupIngress"]] == [
        "arn:LoadBalancerSecurityGroup.GroupId"
    ]
    assert [(each["CidrIp"], each["ToPort"]) for each in tasks["SecurityGroupEgress"]] == [
        ("0.0.0.0/0", 443),
        ("10.1.0.0/16", 9098),
    ]
    ports = {each["ToPort"] for each in tasks["SecurityGroupIngress"]}
    assert ports == {ServerConfig().port}


def test_the_health_check_of_the_load_balancer_is_readiness_and_both_groups_are_alike() -> None:
    found = Filled("service", ("CodeDeploy",)).resources
    assert found["Blue"]["HealthCheckPath"] == "/readyz"
    assert found["Blue"] == found["Green"]


def test_it_scales_on_a_metric_that_is_published(config: Config) -> None:
    policy = Filled("service", ("Fullness",), FullSink="orders").resources["ByFullness"]
    metric = policy["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"]
    known = BY_NAME[metric["MetricName"]]
    assert (known.by, known.unit) == (By.SINK, metric["Unit"])
    assert metric["Namespace"] == config.cloudwatch.namespace
    assert {each["Name"]: each["Value"] for each in metric["Dimensions"]} == {
        "Service": config.cloudwatch.service,
        known.by.value: "orders",
    }


def test_the_page_names_every_file_and_every_parameter_without_a_default() -> None:
    for path in FOLDER.iterdir():
        assert path.name == "README.md" or f"`{path.name}`" in README, path.name
    for name in ("task", "service", "blue-green"):
        for key, value in parameters(name).items():
            if value is None:
                assert f"{key}=" in README, f"{name}.yaml: {key}"
