"""The template: small enough, the same each time, and YAML that CloudFormation reads."""

import re
from pathlib import Path
from typing import Any

import yaml
from cfnlint.decode import cfn_yaml

from service.cloudwatch import template as module
from service.cloudwatch.intrinsics import Empty, Given, If, InLine, Ref, Sub, as_yaml
from service.cloudwatch.parameters import THRESHOLDS
from service.cloudwatch.template import MOST_BYTES, MOST_BYTES_SENT, MOST_RESOURCES, template
from tests.unit.cloudwatch_world import MIXED, SMALL, large, watching

WHO = {"AlarmTopicArn", "AlarmEmail"}


def read(text: str) -> dict[str, Any]:
    """A template as CloudFormation takes it, short forms of functions written out."""
    return dict(cfn_yaml.loads(text))


def references(value: Any) -> set[str]:
    """Every name that something refers to."""
    if isinstance(value, dict):
        own = {value["Ref"]} if "Ref" in value else set()
        own |= {value["Fn::If"][0]} if "Fn::If" in value else set()
        own |= {value["Condition"]} if isinstance(value.get("Condition"), str) else set()
        if "Fn::Sub" in value:
            own |= {name.partition(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", value["Fn::Sub"])}
        return own.union(*(references(each) for each in value.values()))
    return set().union(*(references(each) for each in value)) if isinstance(value, list) else set()


def test_whatever_is_referred_to_is_there_and_whatever_is_there_is_used(tmp_path: Path) -> None:
    for settings in (SMALL, MIXED):
        found = read(template(watching(tmp_path, settings)).text)
        known = {name for part in ("Parameters", "Conditions", "Resources") for name in found[part]}
        used = {name for name in references(found) if not name.startswith("AWS::")}
        assert used <= known
        assert set(found["Parameters"]) | set(found["Conditions"]) <= used


def test_only_thresholds_of_alarms_that_are_there_can_be_set(tmp_path: Path) -> None:
    assert set(read(template(watching(tmp_path, MIXED)).text)["Parameters"]) == {*THRESHOLDS, *WHO}
    small = read(template(watching(tmp_path, SMALL), without=["refused"]).text)
    lacking = {"ConsumerLag", "JournalFullness", "JournalOldestAge", "CertificateTimeLeft", "Refused"}
    assert set(small["Parameters"]) == {*THRESHOLDS, *WHO} - lacking


def test_a_topic_is_made_unless_one_is_given_and_only_alarms_of_this_account_may_publish(tmp_path: Path) -> None:
    found = read(template(watching(tmp_path, SMALL)).text)
    resources = found["Resources"]
    assert found["Conditions"]["MakeTopic"] == {"Fn::Equals": [{"Ref": "AlarmTopicArn"}, ""]}
    assert resources["AlarmTopic"]["Condition"] == resources["AlarmTopicPolicy"]["Condition"] == "MakeTopic"
    (statement,) = resources["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    told = [each["Properties"]["AlarmActions"] for each in resources.values() if each["Type"].endswith("Alarm")]
    assert told == [[{"Fn::If": ["MakeTopic", {"Ref": "AlarmTopic"}, {"Ref": "AlarmTopicArn"}]}]] * 7


def test_a_small_service_fits_into_a_request(tmp_path: Path) -> None:
    made = template(watching(tmp_path, SMALL))
    assert made.size < MOST_BYTES_SENT // 2
    assert (made.alarms, made.resources, made.excess) == (7, 11, None)


def test_the_longest_name_of_a_service_leaves_the_description_within_its_limit(tmp_path: Path) -> None:
    made = template(watching(tmp_path, SMALL, "s" * 1024))
    description = yaml.load(made.text, yaml.BaseLoader)["Description"]
    assert 256 < len(description.encode()) <= 1024


def test_twenty_sinks_and_a_hundred_routes_go_by_way_of_s3(tmp_path: Path) -> None:
    made = template(watching(tmp_path, large()))
    assert MOST_BYTES_SENT < made.size < MOST_BYTES // 3
    assert made.resources == len(read(made.text)["Resources"]) < MOST_RESOURCES // 2
    assert made.excess is None


def test_more_resources_than_cloudformation_takes_are_said_to_be_too_many(tmp_path: Path) -> None:
    watched = watching(tmp_path, large(routes=500))
    assert template(watched).excess == "610 resources; CloudFormation takes 500 in a template"
    assert template(watched, without=["refused"]).excess is None


def test_a_template_that_is_too_large_is_said_to_be(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    made = template(watching(tmp_path, SMALL))
    assert made.excess == f"{made.size} bytes; CloudFormation takes 1000 from S3"


def test_the_same_service_gives_the_same_bytes(tmp_path: Path) -> None:
    assert template(watching(tmp_path, MIXED)).text == template(watching(tmp_path, MIXED)).text


def test_functions_stand_in_their_short_forms() -> None:
    value = {"a": Ref("A"), "b": Sub("${A}-b"), "c": If("C", Ref("A"), 8), "d": Given("A"), "e": Empty("A")}
    assert as_yaml(value) == (
        "a: !Ref 'A'\nb: !Sub '${A}-b'\nc: !If [C, !Ref 'A', 8]\n"
        "d: !Not [!Equals [!Ref 'A', '']]\ne: !Equals [!Ref 'A', '']\n"
    )
    assert read(as_yaml(value))["d"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "A"}, ""]}]}


def test_several_lines_stand_as_such_and_nothing_is_an_alias() -> None:
    twice = [InLine(Name="Sink", Value="lake")]
    assert as_yaml({"a": twice, "b": twice, "c": Sub("{\n}\n")}) == (
        "a:\n- {Name: Sink, Value: lake}\nb:\n- {Name: Sink, Value: lake}\nc: !Sub |\n  {\n  }\n"
    )


def test_values_that_yaml_would_take_for_something_else_stay_text() -> None:
    text = as_yaml({"a": "2010-09-09", "b": "no", "c": "", "d": InLine(Name="Sink", Value="null")})
    assert yaml.safe_load(text) == {"a": "2010-09-09", "b": "no", "c": "", "d": {"Name": "Sink", "Value": "null"}}
