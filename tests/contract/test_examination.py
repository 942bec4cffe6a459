"""What `penstock doctor` says of AWS, where an emulator cannot: denials in IAM's words, a clock that is off, limits."""

import json
import os
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from service.config import load
from service.doctor.collecting import examine
from service.finding import Finding, Level
from tests.contract.fake_aws import FakeAws

WORDS = (
    "User: arn:aws:sts::123456789012:assumed-role/penstock/task is not authorized to perform: {action} on resource: "
    "arn:aws:kinesis:eu-west-1:123456789012:stream/orders because no identity-based policy allows the {action} action"
)
SINKS = {
    "kinesis": ("stream: orders", "kinesis:DescribeStreamSummary", "DescribeStreamSummary"),
    "firehose": ("delivery_stream: lake", "firehose:DescribeDeliveryStream", "DescribeDeliveryStream"),
    "sqs": ("queue: jobs", "sqs:GetQueueAttributes", "GetQueueAttributes"),
}

Findings = dict[str, Finding]


@pytest.fixture
async def aws() -> AsyncIterator[FakeAws]:
    """The fake, with one destination of each kind."""
    async with FakeAws() as found:
        found.streams["orders"] = []
        found.delivery_streams["lake"] = []
        found.queues["jobs"] = []
        found.queues["jobs.fifo"] = []
        os.environ["AWS_ENDPOINT_URL_STS"] = found.url
        yield found


async def asked(aws: FakeAws, folder: Path, of: str, sink: str, more: str = "") -> Findings:
    """What is found of `of`, by subject."""
    path = folder / "penstock.yaml"
    path.write_text(
        f"server: {{port: 0}}\nadmin: {{port: 0}}\naws: {{region: eu-west-1, endpoint_url: '{aws.url}'}}\n"
        f"sinks: {{out: {{{sink}}}, dead: {{type: memory}}}}\n"
        f"routes: {{orders: {{to: [out], dead_letter: dead, key: /a}}}}\n{more}"
    )
    reports = {report.of: report.findings for report in await examine(load(path, {}))}
    assert not [call.operation for call in aws.calls if call.operation.startswith(("Put", "Send", "Receive"))]
    return {each.about: each for each in reports[of]}


async def sink(aws: FakeAws, folder: Path, kind: str, settings: str = "") -> Findings:
    """What is found of a sink of this kind."""
    where = settings or SINKS[kind][0]
    return await asked(aws, folder, "sink out", f"type: {kind}, {where}")


async def source(aws: FakeAws, folder: Path, settings: str = "") -> Findings:
    """What is found of a source that reads the queue."""
    more = f"sources: {{incoming: {{type: sqs, queue: jobs, route: orders{settings}}}}}\n"
    return await asked(aws, folder, "source incoming", "type: memory", more)


@pytest.mark.parametrize("kind", SINKS)
async def test_a_denial_is_told_in_the_words_of_iam_with_the_action_to_allow(
    kind: str, aws: FakeAws, tmp_path: Path
) -> None:
    _, action, operation = SINKS[kind]
    aws.denied = {operation}
    aws.iam_words = WORDS.format(action=action)
    [finding] = (await sink(aws, tmp_path, kind)).values()
    assert finding.level is Level.PROBLEM
    assert finding.found == f"{action}: AccessDeniedException: {WORDS.format(action=action)}"
    assert f"allow {action} on it for this service's role" in finding.do


@pytest.mark.parametrize("kind", SINKS)
async def test_what_does_not_exist_is_to_be_created(kind: str, aws: FakeAws, tmp_path: Path) -> None:
    aws.streams.clear()
    aws.delivery_streams.clear()
    aws.queues.clear()
    [finding] = (await sink(aws, tmp_path, kind)).values()
    assert finding.level is Level.PROBLEM
    assert "does not exist in eu-west-1: create it" in finding.do


@pytest.mark.parametrize("kind", SINKS)
async def test_what_is_in_order_has_no_warning(kind: str, aws: FakeAws, tmp_path: Path) -> None:
    found = await sink(aws, tmp_path, kind)
    assert {each.level for each in found.values()} <= {Level.OK, Level.NOTE}, found
    assert "moved" in found["permission"].found


async def test_credentials_are_told_by_their_arn_and_account_and_a_root_user_is_warned_of(
    aws: FakeAws, tmp_path: Path
) -> None:
    found = await asked(aws, tmp_path, "credentials", "type: sqs, queue: jobs")
    assert found["credentials"].found == f"{aws.arn}, account 123456789012"
    assert found["clock"].level is Level.OK
    aws.arn = "arn:aws:iam::123456789012:root"
    assert (await asked(aws, tmp_path, "credentials", "type: sqs, queue: jobs"))["credentials"].level is Level.WARNING


@pytest.mark.parametrize(
    ("seconds", "level", "words"),
    [(90, Level.WARNING, "behind"), (-90, Level.WARNING, "ahead of"), (300, Level.PROBLEM, "behind")],
)
async def test_a_clock_that_is_off_is_told_by_whoever_answers(
    seconds: int, level: Level, words: str, aws: FakeAws, tmp_path: Path
) -> None:
    aws.date = formatdate(time.time() + seconds, usegmt=True)
    found = await asked(aws, tmp_path, "credentials", "type: sqs, queue: jobs")
    assert (found["clock"].level, words in found["clock"].found) == (level, True)
    assert (await sink(aws, tmp_path, "kinesis"))["clock"].level is level
    aws.denied = {"DescribeStreamSummary"}
    assert (await sink(aws, tmp_path, "kinesis"))["clock"].level is level


async def test_who_signs_the_tokens_of_a_kafka_client_is_told_before_its_brokers(aws: FakeAws, tmp_path: Path) -> None:
    found = await asked(
        aws, tmp_path, "sink out", "type: kafka, brokers: '127.0.0.1:1', topic: t, auth: iam, tls: false"
    )
    assert found["credentials"].found.startswith(aws.arn)
    assert found["brokers"].level is Level.PROBLEM


async def test_a_firehose_that_calls_us_is_told_what_it_needs(aws: FakeAws, tmp_path: Path) -> None:
    more = "sources: {lake: {type: firehose, codec: json, route: orders%s}}\n"
    found = await asked(aws, tmp_path, "source lake", "type: memory", more % "")
    assert (found["endpoint"].level, found["access key"].level) == (Level.NOTE, Level.WARNING)
    keyed = ", access_keys: [0123456789abcdef]"
    assert (await asked(aws, tmp_path, "source lake", "type: memory", more % keyed))["access key"].level is Level.OK


async def test_without_an_endpoint_of_its_own_sts_is_not_asked(aws: FakeAws, tmp_path: Path) -> None:
    del os.environ["AWS_ENDPOINT_URL_STS"]
    found = await asked(aws, tmp_path, "credentials", "type: sqs, queue: jobs")
    assert [each.level for each in found.values()] == [Level.NOTE]


@pytest.mark.parametrize(
    ("kind", "settings", "described", "about", "level", "words"),
    [
        ("kinesis", "", {"OpenShardCount": 3}, "shards", "ok", "3 MB/s and 3,000 records/s"),
        (
            "kinesis",
            "",
            {"OpenShardCount": 1, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}},
            "shards",
            "ok",
            "on-demand, 1 open shard",
        ),
        ("kinesis", "", {"StreamStatus": "CREATING"}, "stream", "problem", "CREATING"),
        ("kinesis", "stream: orders, max_record: 4MiB", {}, "record size", "problem", "takes 1MiB"),
        ("kinesis", "", {"MaxRecordSizeInKiB": 10240}, "record size", "note", "takes 10MiB"),
        ("kinesis", "", {"EncryptionType": "KMS", "KeyId": "alias/own"}, "encryption", "note", "alias/own"),
        ("kinesis", "", {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}, "encryption", "ok", "key of AWS"),
        ("firehose", "", {"DeliveryStreamStatus": "CREATING"}, "delivery stream", "problem", "CREATING"),
        ("firehose", "", {"DeliveryStreamType": "KinesisStreamAsSource"}, "source", "problem", "KinesisStreamAsSource"),
        ("firehose", "", {"Destinations": []}, "destination", "warning", "none"),
        (
            "firehose",
            "",
            {"DeliveryStreamEncryptionConfiguration": {"Status": "ENABLING_FAILED"}},
            "encryption",
            "warning",
            "ENABLING_FAILED",
        ),
        ("sqs", "", {"MaximumMessageSize": "262144"}, "message size", "problem", "256KiB"),
        ("sqs", "queue: jobs, order: key", {}, "order", "warning", "a standard queue does not"),
        ("sqs", "queue: jobs.fifo", {}, "throughput", "note", "300 calls a second"),
        (
            "sqs",
            "queue: jobs.fifo",
            {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"},
            "throughput",
            "ok",
            "high",
        ),
        ("sqs", "queue: jobs.fifo", {"ContentBasedDeduplication": "true"}, "deduplication", "note", "content-based"),
        ("sqs", "", {"MessageRetentionPeriod": "60"}, "retention", "warning", "1m"),
        ("sqs", "", {"KmsMasterKeyId": "alias/own"}, "encryption", "note", "alias/own"),
    ],
)
async def test_what_a_destination_says_of_itself_is_compared_with_the_settings(
    kind: str,
    settings: str,
    described: dict[str, Any],
    about: str,
    level: str,
    words: str,
    aws: FakeAws,
    tmp_path: Path,
) -> None:
    aws.described = described
    finding = (await sink(aws, tmp_path, kind, settings))[about]
    assert (finding.level.value, words in finding.found) == (level, True), finding
    assert finding.do or finding.level not in (Level.WARNING, Level.PROBLEM) or "until it is" in finding.found


async def test_shards_that_may_not_be_listed_are_a_warning_and_to_aggregation_a_problem(
    aws: FakeAws, tmp_path: Path
) -> None:
    aws.denied = {"ListShards"}
    assert (await sink(aws, tmp_path, "kinesis"))["shard map"].level is Level.WARNING
    assert (await sink(aws, tmp_path, "kinesis", "stream: orders, aggregate: kpl"))["shard map"].level is Level.PROBLEM


async def test_a_source_is_told_what_its_queue_does_with_messages_that_come_again(aws: FakeAws, tmp_path: Path) -> None:
    assert (await source(aws, tmp_path))["redrive"].level is Level.NOTE
    assert (await source(aws, tmp_path, ", max_receives: 9"))["redrive"].level is Level.OK
    policy = {"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:lost", "maxReceiveCount": 3}
    aws.described = {"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "45"}
    found = await source(aws, tmp_path)
    assert found["redrive"].level is Level.WARNING
    assert "to lost after 3 receipts" in found["redrive"].found
    assert "45s" in found["visibility"].found
    aws.denied = {"GetQueueAttributes"}
    assert (await source(aws, tmp_path))["queue"].level is Level.PROBLEM
