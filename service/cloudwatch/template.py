"""One CloudFormation template: the alarms of a service, whom they tell, and its dashboards."""

from collections.abc import Collection
from typing import Any, Final

from msgspec import Struct

from service.cloudwatch.alarms import Alarm, alarms, properties
from service.cloudwatch.dashboard import dashboards
from service.cloudwatch.intrinsics import Empty, Given, If, Ref, Sub, as_yaml
from service.cloudwatch.parameters import EMAIL, TOPIC, WHO, Threshold
from service.cloudwatch.watched import Watched

MOST_BYTES: Final = 2**20
"""Of a template that is read from S3 ("CloudFormation quotas", its user guide)."""
MOST_BYTES_SENT: Final = 51_200
"""Of a template that is sent with the request (the same page)."""
MOST_RESOURCES: Final = 500
"""Of a template (the same page)."""


_OWN = "MakeTopic"
_TOLD = "Subscribe"
_THE_TOPIC = If(_OWN, Ref("AlarmTopic"), Ref(TOPIC))
_TOPIC: Final[dict[str, Any]] = {
    "AlarmTopic": {"Type": "AWS::SNS::Topic", "Condition": _OWN},
    # CloudWatch alone, for alarms of this account ("Notifying users on alarm changes", CloudWatch user guide).
    "AlarmTopicPolicy": {
        "Type": "AWS::SNS::TopicPolicy",
        "Condition": _OWN,
        "Properties": {
            "Topics": (Ref("AlarmTopic"),),
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "cloudwatch.amazonaws.com"},
                        "Action": "sns:Publish",
                        "Resource": Ref("AlarmTopic"),
                        "Condition": {"StringEquals": {"aws:SourceAccount": Ref("AWS::AccountId")}},
                    }
                ],
            },
        },
    },
    "AlarmSubscription": {
        "Type": "AWS::SNS::Subscription",
        "Condition": _TOLD,
        "Properties": {"TopicArn": _THE_TOPIC, "Protocol": "email", "Endpoint": Ref(EMAIL)},
    },
}


class Template(Struct, frozen=True):
    """A template, and what there is to say of it."""

    text: str
    resources: int
    alarms: int

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.text.encode())

    @property
    def excess(self) -> str | None:
        """What CloudFormation would refuse it for; None if nothing."""
        if self.resources > MOST_RESOURCES:
            return f"{self.resources} resources; CloudFormation takes {MOST_RESOURCES} in a template"
        if self.size > MOST_BYTES:
            return f"{self.size} bytes; CloudFormation takes {MOST_BYTES} from S3"
        return None


def template(watched: Watched, without: Collection[str] = (), expected: Collection[str] = ()) -> Template:
    """The template of a service. `without`: kinds of alarms; `expected`: routes that are never to be silent."""
    found = alarms(watched, without, expected)
    made = {alarm.logical_id: _alarm(alarm, watched) for alarm in found}
    shown = {f"Dashboard{n}": _dashboard(n, body) for n, body in enumerate(dashboards(watched, found), start=1)}
    resources = _TOPIC | made | shown
    thresholds = {t.name: t for alarm in found if isinstance(t := alarm.watch.threshold, Threshold)}
    whole = {
        "AWSTemplateFormatVersion": "2010-09-09",
        # at most 1,024 bytes, and a name may have as many
        "Description": f"Alarms and dashboard of Penstock service {watched.own['Service'][:256]}. Made by "
        "`penstock generate cloudwatch`: change the configuration, and make it again.",
        "Parameters": WHO | {name: each.declaration for name, each in thresholds.items()},
        "Conditions": {_OWN: Empty(TOPIC), _TOLD: Given(EMAIL)}
        | {each.given: Given(name) for name, each in thresholds.items() if each.default is None},
        "Resources": resources,
        "Outputs": {
            "AlarmTopic": {"Description": "ARN of the topic that is told.", "Value": _THE_TOPIC},
            "Dashboards": {"Description": "Names, in CloudWatch.", "Value": Sub(", ".join(map(_named, shown)))},
        },
    }
    return Template(as_yaml(whole), len(resources), len(found))


def _alarm(alarm: Alarm, watched: Watched) -> dict[str, Any]:
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties(alarm, watched, (_THE_TOPIC,))}


def _dashboard(number: int, body: str) -> dict[str, Any]:
    name = "${AWS::StackName}" if number == 1 else f"${{AWS::StackName}}-{number}"
    return {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {"DashboardName": Sub(name), "DashboardBody": Sub(body)},
    }


def _named(logical_id: str) -> str:
    return f"${{{logical_id}}}"
