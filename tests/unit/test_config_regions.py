"""The region of what acts in AWS: where it is said, where the SDK looks, and who is told when there is none."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.aws import session
from tests.unit.written import mistakes

REGIONLESS = """
sinks: {data: {type: kinesis, stream: orders}}
routes: {orders: {to: [data]}}
"""


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """The environment of an SDK that nothing was said to."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "sdk"))
    session._session.cache_clear()
    yield monkeypatch
    session._session.cache_clear()


@pytest.mark.usefixtures("sdk")
def test_a_source_of_aws_without_a_region_is_told_so_too(tmp_path: Path) -> None:
    text = """
sinks: {data: {type: memory}, dead: {type: file, path: dead}}
routes: {orders: {to: [data], dead_letter: dead}}
sources: {incoming: {type: sqs, queue: q, route: orders, codec: json}}
"""
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith("penstock.yaml:3: sources.incoming: no region; set")
    assert mistakes(tmp_path, text + "aws: {region: eu-west-1}") == []


@pytest.mark.parametrize("sink", ["kinesis, stream: s", "firehose, delivery_stream: s", "sqs, queue: q"])
@pytest.mark.usefixtures("sdk")
def test_a_sink_of_aws_without_a_region_is_told_where_to_set_it(tmp_path: Path, sink: str) -> None:
    text = REGIONLESS.replace("kinesis, stream: orders", sink)
    assert mistakes(tmp_path, text) == [
        (
            "penstock.yaml:1: sinks.data: no region; "
            "set `aws: {region: ...}`, `region` on the sink or source, or AWS_REGION"
        )
    ]
    assert mistakes(tmp_path, text + "aws: {region: eu-west-1}") == []
    assert mistakes(tmp_path, text.replace("{type", "{region: eu-west-1, type")) == []


@pytest.mark.parametrize(
    "sink",
    [
        "kinesis, stream: 'arn:aws:kinesis:eu-west-1:123456789012:stream/orders'",
        "firehose, delivery_stream: 'arn:aws:firehose:eu-west-1:123456789012:deliverystream/orders'",
        "sqs, queue: 'arn:aws:sqs:eu-west-1:123456789012:orders'",
        "sqs, queue: 'https://sqs.eu-west-1.amazonaws.com/123456789012/orders'",
    ],
)
@pytest.mark.usefixtures("sdk")
def test_a_destination_that_names_its_region_needs_no_other(tmp_path: Path, sink: str) -> None:
    assert mistakes(tmp_path, REGIONLESS.replace("kinesis, stream: orders", sink)) == []


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_found_where_the_sdk_looks(tmp_path: Path, sdk: pytest.MonkeyPatch, variable: str) -> None:
    (tmp_path / "sdk").write_text("[profile shop]\nregion = eu-west-1\n")
    assert len(mistakes(tmp_path, REGIONLESS)) == 1
    with sdk.context() as environment:
        environment.setenv("AWS_PROFILE", "shop")
        assert mistakes(tmp_path, REGIONLESS) == []
    sdk.setenv(variable, "eu-west-1")
    assert mistakes(tmp_path, REGIONLESS) == []


def test_a_profile_of_the_sdk_that_does_not_exist_is_a_mistake(tmp_path: Path, sdk: pytest.MonkeyPatch) -> None:
    sdk.setenv("AWS_PROFILE", "nobody")
    (found,) = mistakes(tmp_path, REGIONLESS + "aws: {region: eu-west-1}")
    assert found.startswith("penstock.yaml:1: sinks.data: the AWS SDK cannot be used as configured: ")
    assert "nobody" in found
