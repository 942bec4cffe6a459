"""The template in the AWS emulator: the stack is made, and an alarm rings through SNS into a queue.

The emulator knows no alarms with metric math: those are left out here, and cfn-lint has looked at them. It evaluates an
alarm when data comes, over one window and all dimensions.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from cfnlint.decode import cfn_yaml

from deploy.local.emulator import isolated
from service.cloudwatch.template import MOST_BYTES_SENT
from tests.integration.command import Serving, penstock
from tests.unit.cloudwatch_world import MIXED, large, lines, written

Client = Callable[[str], Any]

SERVING = {
    "aws": {"region": "us-east-1"},
    "journal": {"path": "journal", "volume": "ephemeral"},
    "sinks": {
        "data": {"type": "memory"},
        "away": {"type": "sqs", "queue": "nobody-made-it", "patience": "2s", "call_timeout": "1s"},
        "letters": {"type": "memory"},
    },
    "routes": {
        "orders": {"to": ["data", {"sink": "away", "required": False}], "dead_letter": "letters"},
        "lines": {"ack": "stored", "to": ["data"], "dead_letter": "letters"},
    },
}
"""A service of which one sink refuses everything."""


@pytest.fixture
def client(emulator: str) -> Client:
    session = botocore.session.Session()
    known = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    return lambda service: session.create_client(service, endpoint_url=emulator, **known)


def published(**settings: str) -> dict[str, Any]:
    """The section that says how metrics are published."""
    return {"cloudwatch": {"mode": "emf", **settings}}


def generate(folder: Path, settings: dict[str, Any], *options: str) -> str:
    """What the command prints."""
    done = penstock("generate", "cloudwatch", "--config", written(folder, settings), *options, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def until(found: Callable[[], Any]) -> Any:
    """What `found` returns once it is true; AssertionError after 20 s."""
    end = time.monotonic() + 20
    while not (result := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return result


def made(cloudformation: Any, name: str, template: dict[str, str], **parameters: str) -> dict[str, str]:
    """The outputs of a new stack."""
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    cloudformation.create_stack(StackName=name, Parameters=given, **template)

    def ended() -> Any:
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    stack = until(ended)
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", [event.get("ResourceStatusReason") for event in events]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def alarms(cloudwatch: Any, stack: str) -> dict[str, Any]:
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{stack}-")
    return {alarm["AlarmName"].removeprefix(f"{stack}-"): alarm for page in pages for alarm in page["MetricAlarms"]}


def heard(sqs: Any, queue: str) -> Iterator[dict[str, Any]]:
    """What comes to the queue; AssertionError after 30 s of silence."""
    end = time.monotonic() + 30
    while True:
        asked = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in asked.get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            end = time.monotonic() + 30
            yield json.loads(json.loads(message["Body"])["Message"])
        assert time.monotonic() < end


def listening(client: Client, topic: str, name: str) -> str:
    """A queue that is subscribed to the topic."""
    sqs = client("sqs")
    queue: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return queue


def test_the_stack_has_every_alarm_the_dashboard_and_a_topic(client: Client, tmp_path: Path) -> None:
    text = generate(tmp_path, MIXED | published(service="shop"), "--without", "throttled", "--expect", "orders")
    outputs = made(client("cloudformation"), "whole", {"TemplateBody": text}, AlarmEmail="oncall@example.com")
    written_down = cfn_yaml.loads(text)["Resources"]
    found = alarms(client("cloudwatch"), "whole")
    assert len(found) == sum(each["Type"] == "AWS::CloudWatch::Alarm" for each in written_down.values()) == 23
    assert found["oldest-event-stream"]["Threshold"] == 12
    assert found["nothing-received-orders"]["TreatMissingData"] == "breaching"
    for alarm in found.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [outputs["AlarmTopic"]]
        assert {"Name": "Service", "Value": "shop"} in alarm["Dimensions"]
    body = client("cloudwatch").get_dashboard(DashboardName=outputs["Dashboards"])["DashboardBody"]
    (shown, *_), *_ = (json.loads(body)["widgets"],)
    assert set(shown["properties"]["alarms"]) == {alarm["AlarmArn"] for alarm in found.values()}
    assert "us-east-1" in body
    assert "${" not in body
    (subscription,) = client("sns").list_subscriptions_by_topic(TopicArn=outputs["AlarmTopic"])["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "oncall@example.com")


def test_thresholds_and_a_topic_of_ones_own_are_taken(client: Client, tmp_path: Path) -> None:
    topic = client("sns").create_topic(Name="pager")["TopicArn"]
    text = generate(tmp_path, MIXED, "--without", "throttled")
    own = {"OldestEventAge": "45", "DeadLetters": "7", "AlarmTopicArn": topic}
    outputs = made(client("cloudformation"), "own", {"TemplateBody": text}, **own)
    found = alarms(client("cloudwatch"), "own")
    assert outputs["AlarmTopic"] == topic
    assert {found[f"oldest-event-{sink}"]["Threshold"] for sink in ("stream", "lake")} == {45}
    assert found["dead-letters-lake"]["Threshold"] == 7
    assert found["dead-letters-lake"]["AlarmActions"] == [topic]


def test_a_dead_letter_rings_through_the_topic_and_says_what_to_do(client: Client, tmp_path: Path) -> None:
    text = generate(tmp_path, MIXED | published(namespace="Ringing", service="shop"), "--without", "throttled")
    outputs = made(client("cloudformation"), "ringing", {"TemplateBody": text})
    queue = listening(client, outputs["AlarmTopic"], "ringing")
    lake = [{"Name": "Service", "Value": "shop"}, {"Name": "Sink", "Value": "lake"}]
    datum = {"MetricName": "EventsDeadLettered", "Dimensions": lake, "Unit": "Count", "Values": [3.0], "Counts": [1.0]}
    client("cloudwatch").put_metric_data(Namespace="Ringing", MetricData=[datum])
    notice = next(each for each in heard(client("sqs"), queue) if each["AlarmName"] == "ringing-dead-letters-lake")
    assert (notice["OldStateValue"], notice["NewStateValue"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert "`penstock dlq list --refused-by lake`" in notice["AlarmDescription"]
    assert notice["AlarmDescription"].endswith("docs/runbook.md#dead-letters")
    assert alarms(client("cloudwatch"), "ringing")["dead-letters-lake"]["StateValue"] == "ALARM"


def test_a_certificate_rings_when_less_than_14_days_are_left(client: Client, tmp_path: Path) -> None:
    text = generate(tmp_path, MIXED | published(namespace="Renewing", service="shop"), "--without", "throttled")
    made(client("cloudformation"), "renewing", {"TemplateBody": text})
    cloudwatch = client("cloudwatch")

    def told(days: int) -> None:
        own = {"Dimensions": [{"Name": "Service", "Value": "shop"}], "Unit": "Seconds", "Value": days * 86_400.0}
        cloudwatch.put_metric_data(Namespace="Renewing", MetricData=[{"MetricName": "CertificateTimeLeft", **own}])

    told(15)
    until(lambda: alarms(cloudwatch, "renewing")["certificate"]["StateValue"] == "OK")
    told(13)
    until(lambda: alarms(cloudwatch, "renewing")["certificate"]["StateValue"] == "ALARM")
    assert alarms(cloudwatch, "renewing")["keys-not-read"]["StateValue"] != "ALARM"


def test_the_end_of_an_alarm_is_told_too(client: Client, tmp_path: Path) -> None:
    """As `deploy/cloudwatch/README.md` has it tried."""
    text = generate(tmp_path, MIXED | published(namespace="Ending"), "--without", "throttled")
    outputs = made(client("cloudformation"), "ending", {"TemplateBody": text})
    queue = listening(client, outputs["AlarmTopic"], "ending")
    for state in ("ALARM", "OK"):
        client("cloudwatch").set_alarm_state(
            AlarmName="ending-oldest-event-lake", StateValue=state, StateReason="a trial"
        )
    notices = heard(client("sqs"), queue)
    assert {next(notices)["NewStateValue"] for _ in range(2)} == {"ALARM", "OK"}


def test_what_a_service_publishes_is_what_alarms_and_dashboards_look_at(
    client: Client, emulator: str, tmp_path: Path
) -> None:
    """From an event that a sink refuses to the queue of who is on call."""
    own = {
        "mode": "api",
        "namespace": "Serving",
        "service": "serving",
        "interval": "1s",
        "dimensions": {"Stage": "live"},
    }
    settings = SERVING | {"cloudwatch": own}
    text = generate(tmp_path, settings, "--without", "throttled")
    outputs = made(client("cloudformation"), "serving", {"TemplateBody": text})
    queue = listening(client, outputs["AlarmTopic"], "serving")
    with Serving("serve", folder=tmp_path, more=isolated(os.environ, emulator)) as running:
        assert running.post("orders", {"number": 1})[0] == 200
        notice = next(each for each in heard(client("sqs"), queue) if each["AlarmName"] == "serving-dead-letters-away")
        assert notice["NewStateValue"] == "ALARM"
        running.signal(signal.SIGTERM)
        running.end_well()
    listed = client("cloudwatch").list_metrics(Namespace="Serving")["Metrics"]
    sent = {_identity(each) for each in listed}
    body = client("cloudwatch").get_dashboard(DashboardName="serving")["DashboardBody"]
    shown = {
        ("Serving", line[1], frozenset(pairwise(line[2:])))
        for widget in json.loads(body)["widgets"]
        for line, _ in lines(widget)
    }
    assert sent <= shown
    looked_at = {name: _identity(alarm) for name, alarm in alarms(client("cloudwatch"), "serving").items()}
    levels = {"oldest-event-data", "oldest-event-letters", "unaccounted", "silent", "journal-full", "journal-old"}
    assert {looked_at[name] for name in levels | {"dead-letters-away"}} <= sent


def _identity(metric: dict[str, Any]) -> tuple[str, str, frozenset[tuple[str, str]]]:
    dimensions = frozenset((each["Name"], each["Value"]) for each in metric["Dimensions"])
    return metric["Namespace"], metric["MetricName"], dimensions


def pairwise(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Names and values of dimensions, as a dashboard has them."""
    return zip(words[::2], words[1::2], strict=True)


def test_a_large_template_goes_by_way_of_a_bucket(client: Client, emulator: str, tmp_path: Path) -> None:
    text = generate(tmp_path, large(), "--without", "throttled")
    assert len(text) > MOST_BYTES_SENT
    s3 = client("s3")
    s3.create_bucket(Bucket="templates")
    s3.put_object(Bucket="templates", Key="large.yaml", Body=text.encode())
    outputs = made(client("cloudformation"), "large", {"TemplateURL": f"{emulator}/templates/large.yaml"})
    assert outputs["Dashboards"] == "large"
    assert len(alarms(client("cloudwatch"), "large")) == 184


def test_the_command_says_how_the_template_is_to_be_given(tmp_path: Path) -> None:
    small = penstock("generate", "cloudwatch", "--config", written(tmp_path, MIXED), folder=tmp_path)
    assert "\n26 alarms, " in small.stderr
    assert small.stderr.endswith(" bytes: as it is\n")
    whole = penstock("generate", "cloudwatch", "--config", written(tmp_path, large()), folder=tmp_path)
    assert "give it by S3" in whole.stderr


def test_the_command_makes_nothing_that_cloudformation_would_refuse(tmp_path: Path) -> None:
    done = penstock("generate", "cloudwatch", "--config", written(tmp_path, large(routes=500)), folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "610 resources" in done.stderr
    assert "--without" in done.stderr


@pytest.mark.parametrize("options", [("--without", "refusal"), ("--expect", "order")])
def test_a_kind_or_route_that_is_not_there_is_wrong_usage(tmp_path: Path, options: tuple[str, str]) -> None:
    done = penstock("generate", "cloudwatch", "--config", written(tmp_path, MIXED), *options, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert options[1] in done.stderr
