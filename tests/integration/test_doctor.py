"""`penstock doctor` against an AWS emulator and brokers of Kafka, as somebody runs it before a deployment."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from deploy.local.emulator import isolated
from examples.quickstart.resources import Clients
from service.config import load
from service.doctor.collecting import examine
from service.finding import Finding, Level
from tests.integration.command import penstock
from tests.integration.consuming import all_committed, consuming, create, numbered, produce, unique

ROUTE = "\nroutes: {orders: {key: /a, to: [out], dead_letter: dead}}\n"


def written(folder: Path, text: str) -> Path:
    """The configuration in a file."""
    path = folder / "penstock.yaml"
    path.write_text("server: {port: 0}\nadmin: {port: 0}\n" + text)
    return path


def command(folder: Path, text: str, endpoint: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code of the command, and what is found of `sink out` and of the caller, by subject."""
    written(folder, text)
    credentials = {name: value for name, value in isolated({}, endpoint).items() if name.startswith("AWS_")}
    done = penstock("doctor", "--json", folder=folder, more=credentials)
    findings = json.loads(done.stdout)["findings"]
    return done.returncode, {each["about"]: each for each in findings if each["of"] in ("sink out", "credentials")}


async def doctor(folder: Path, text: str) -> dict[str, Finding]:
    """What is found of `sink out` or `source incoming`, by subject."""
    reports = {each.of: each.findings for each in await examine(load(written(folder, text), {}))}
    return {each.about: each for each in reports.get("source incoming", reports["sink out"])}


async def made(brokers: str, topic: str, **settings: str) -> None:
    """A topic, once the broker knows of it: it is created by the controller, who tells it."""
    create(brokers, topic, 1, **settings)
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    async with asyncio.timeout(30):
        while topic not in (await asyncio.to_thread(admin.list_topics, timeout=10)).topics:
            await asyncio.sleep(0.01)


def levels(found: dict[str, Finding]) -> set[Level]:
    """How things stand."""
    return {each.level for each in found.values()}


def sink(brokers: str, topic: str, more: str = "") -> str:
    """A configuration with this topic as destination."""
    out = f"{{type: kafka, brokers: '{brokers}', topic: {topic}{more}}}"
    return f"sinks: {{out: {out}, dead: {{type: memory}}}}{ROUTE}"


def source(brokers: str, topic: str, group: str) -> str:
    """A configuration with this topic as source."""
    incoming = f"{{type: kafka, brokers: '{brokers}', group: {group}, topics: {{{topic}: orders}}, codec: json}}"
    return f"sinks: {{out: {{type: memory}}, dead: {{type: memory}}}}{ROUTE}sources: {{incoming: {incoming}}}\n"


async def test_a_stream_of_the_emulator_is_told_with_its_shards_and_whose_credentials_they_are(
    emulator: str, tmp_path: Path
) -> None:
    name = unique("doctor")
    async with Clients(emulator) as aws:
        await aws.kinesis.create_stream(StreamName=name, ShardCount=2)
    where = f"aws: {{region: us-east-1, endpoint_url: '{emulator}'}}\n"
    text = f"{where}sinks: {{out: {{type: kinesis, stream: %s}}, dead: {{type: memory}}}}{ROUTE}"
    code, found = command(tmp_path, text % name, emulator)
    assert code == 0, found
    assert "2 open shards" in found["shards"]["found"]
    assert found["credentials"]["found"]
    assert found["clock"]["level"] == "ok"
    code, found = command(tmp_path, text % "no-such-stream", emulator)
    assert code == 1
    assert found["stream"]["level"] == "problem"
    assert "create it" in found["stream"]["do"]


async def test_brokers_that_are_away_are_told_once_and_quietly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for text in (sink("127.0.0.1:1", "orders"), source("127.0.0.1:1", "orders", "g")):
        found = await doctor(tmp_path, text)
        assert levels(found) == {Level.PROBLEM}
        assert "Connection refused" in found["brokers"].found
        assert "check `brokers`" in found["brokers"].do
    assert "%3|" not in capfd.readouterr().err


async def test_a_topic_of_the_mock_cluster_is_told_as_far_as_that_tells(mock_cluster: str, tmp_path: Path) -> None:
    found = await doctor(tmp_path, sink(mock_cluster, "events"))
    assert Level.PROBLEM not in levels(found), found
    assert "4 partitions" in found["topic"].found
    found = await doctor(tmp_path, source(mock_cluster, "no-such-topic", "g"))
    assert found["topic"].level is Level.PROBLEM
    assert "no-such-topic" in found["topic"].found


@pytest.mark.real_kafka
@pytest.mark.parametrize(
    ("settings", "more", "about", "level", "words"),
    [
        ({}, "", "replicas", "warning", "safe on one broker"),
        ({"min_insync_replicas": "2"}, "", "replicas", "problem", "min.insync.replicas 2 is more than the 1 replica"),
        ({"max_message_bytes": "100000"}, "", "message size", "problem", "max.message.bytes is 100000"),
        ({}, ", max_message: 50KiB", "message size", "ok", "are taken"),
        ({"cleanup_policy": "compact"}, "", "clean-up", "warning", "cleanup.policy is compact"),
        ({}, "", "topic", "ok", "1 partition, replication factor 1"),
        ({}, "", "permission", "ok", "WRITE is allowed"),
    ],
)
async def test_a_topic_is_compared_with_what_is_written_to_it(
    settings: dict[str, str], more: str, about: str, level: str, words: str, real_kafka: str, tmp_path: Path
) -> None:
    topic = unique("doctor")
    await made(real_kafka, topic, **settings)
    finding = (await doctor(tmp_path, sink(real_kafka, topic, more)))[about]
    assert (finding.level.value, words in finding.found) == (level, True), finding


@pytest.mark.real_kafka
async def test_a_topic_that_is_not_there_is_to_be_created(real_kafka: str, tmp_path: Path) -> None:
    found = await doctor(tmp_path, sink(real_kafka, unique("nowhere")))
    assert found["topic"].level is Level.PROBLEM
    assert "create it" in found["topic"].do


@pytest.mark.real_kafka
async def test_a_group_is_told_with_its_members_and_its_lag(real_kafka: str, tmp_path: Path) -> None:
    topic = unique("doctor")
    await made(real_kafka, topic)
    produce(real_kafka, topic, numbered(range(3)))
    found = await doctor(tmp_path, source(real_kafka, topic, "nobody-yet"))
    assert Level.PROBLEM not in levels(found), found
    assert "is new" in found["group"].found or "0 members" in found["group"].found
    async with consuming(tmp_path, real_kafka, topic) as running:
        await running.until(lambda: all_committed(real_kafka, topic))
    produce(real_kafka, topic, numbered(range(5)))
    found = await doctor(tmp_path, source(real_kafka, topic, topic))
    assert Level.PROBLEM not in levels(found), found
    assert "5 messages" in found["lag"].found, found


@pytest.mark.real_kafka
async def test_credentials_that_a_broker_refuses_are_told_as_such(
    secured_kafka: dict[str, str], tmp_path: Path
) -> None:
    wrong = ", auth: {plain: {username: alice, password: wrong}}, tls: false"
    found = await doctor(tmp_path, sink(secured_kafka["plain"], "events", wrong))
    assert found["credentials"].level is Level.PROBLEM
    assert "check" in found["credentials"].do
