"""The section `cloudwatch`: what it means, what it has from `aws`, and which mistakes `penstock check` tells."""

from pathlib import Path

import pytest

from service.config import load
from service.config.reference import effective
from tests.unit.written import SOUND, mistakes, write

REGION = {"AWS_REGION": "eu-west-1"}
STDOUT = SOUND.replace("memory", "stdout")


def test_nothing_is_published_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert load(write(tmp_path, SOUND), {}).cloudwatch.mode == "off"


def test_off_is_a_word(tmp_path: Path) -> None:
    config = load(write(tmp_path, f"cloudwatch: {{mode: off}}\n{SOUND}"), {})
    assert config.cloudwatch.mode == "off", "YAML reads false"


def test_every_minute_or_every_ten_seconds_unless_it_is_said(tmp_path: Path) -> None:
    for settings, seconds in (("", 60), (", high_resolution: true", 10), (", interval: 5s", 5)):
        config = load(write(tmp_path, f"cloudwatch: {{mode: emf{settings}}}\n{SOUND}"), {})
        assert config.cloudwatch.interval_seconds == seconds


def test_it_calls_with_the_identity_of_aws_unless_it_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    aws = "aws: {region: eu-west-1, role_arn: 'arn:aws:iam::123456789012:role/all'}\n"
    config = load(write(tmp_path, f"{aws}cloudwatch: {{mode: api, region: us-east-1}}\n{SOUND}"), {})
    assert config.cloudwatch.region == "us-east-1"
    assert config.cloudwatch.role_arn == "arn:aws:iam::123456789012:role/all"


@pytest.mark.parametrize("mode", ["off", "api", "emf"])
def test_what_is_in_effect_can_be_read_again(tmp_path: Path, mode: str) -> None:
    text = f"""
    aws: {{region: eu-west-1}}
    cloudwatch: {{mode: {mode}, service: "cost: $", dimensions: {{Environment: test}}}}
    """
    config = load(write(tmp_path, text + SOUND.replace("\n", "\n    ")), {})
    again = load(write(tmp_path, effective(config)), {})
    assert again.cloudwatch == config.cloudwatch


def test_dev_publishes_nothing(tmp_path: Path) -> None:
    config = load(write(tmp_path, f"cloudwatch: {{mode: emf}}\n{SOUND}"), {}, printing=True)
    assert config.cloudwatch.mode == "off"


@pytest.mark.parametrize(
    ("settings", "place", "words"),
    [
        ("{mode: on}", "mode", "'off', 'api' or 'emf'"),
        ("{mode: emf, region: eu-west-1}", "", "only used with `mode: api`"),
        ("{mode: emf, namespace: AWS/Kinesis}", "namespace", "AWS/ is not yours"),
        ("{mode: emf, namespace: ''}", "namespace", "no namespace"),
        ("{mode: emf, service: ' '}", "service", "printable ASCII"),
        ("{mode: emf, service: größe}", "service", "printable ASCII"),
        ("{mode: emf, dimensions: {Sink: a}}", "dimensions.Sink.[key]", "metrics have already"),
        ("{mode: emf, dimensions: {':a': a}}", "dimensions.:a.[key]", "no dimension"),
        ("{mode: emf, dimensions: {_aws: a}}", "dimensions._aws.[key]", "no dimension"),
        ("{mode: emf, dimensions: {Stage: ''}}", "dimensions.Stage", "1 to 1024"),
        ("{mode: emf, interval: 100ms}", "interval", "greater than or equal to 1"),
        ("{mode: api, role_arn: admin}", "role_arn", "is not a role"),
        ("{mode: api, endpoint_url: 'http://u@h'}", "endpoint_url", "no user"),
    ],
)
def test_each_mistake_is_told_with_its_place(tmp_path: Path, settings: str, place: str, words: str) -> None:
    [mistake] = mistakes(tmp_path, f"cloudwatch: {settings}\n{SOUND}", REGION)
    assert mistake.startswith(f"penstock.yaml:1: cloudwatch{'.' if place else ''}{place}: ")
    assert words in mistake


def test_too_many_dimensions_are_a_mistake(tmp_path: Path) -> None:
    many = ", ".join(f"D{number}: x" for number in range(11))
    assert mistakes(tmp_path, f"cloudwatch: {{mode: emf, dimensions: {{{many}}}}}\n{SOUND}")
    few = many.rpartition(", ")[0]
    assert not mistakes(tmp_path, f"cloudwatch: {{mode: emf, dimensions: {{{few}}}}}\n{SOUND}")


def test_calls_need_a_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    [mistake] = mistakes(tmp_path, f"cloudwatch: {{mode: api}}\n{SOUND}")
    assert mistake.startswith("penstock.yaml:1: cloudwatch: no region")
    assert not mistakes(tmp_path, f"aws: {{region: eu-west-1}}\ncloudwatch: {{mode: api}}\n{SOUND}")
    assert not mistakes(tmp_path, f"cloudwatch: {{mode: emf}}\n{SOUND}")


def test_events_and_metrics_do_not_share_standard_output(tmp_path: Path) -> None:
    [mistake] = mistakes(tmp_path, f"cloudwatch: {{mode: emf}}\n{STDOUT}")
    assert mistake.startswith("penstock.yaml:1: cloudwatch.mode: sink 'data' writes events to standard output too")
    assert not mistakes(tmp_path, f"cloudwatch: {{mode: emf}}\n{STDOUT.replace('stdout}', 'stdout, descriptor: 2}')}")
    assert not mistakes(tmp_path, f"cloudwatch: {{mode: off}}\n{STDOUT}")


def test_the_last_metrics_are_part_of_the_grace(tmp_path: Path) -> None:
    server = "server: {grace: 28s}\n"
    assert not mistakes(tmp_path, server + SOUND)
    [mistake] = mistakes(tmp_path, f"{server}cloudwatch: {{mode: emf}}\n{SOUND}")
    assert "2s for the last answers and 2s for the last metrics" in mistake
