"""`penstock doctor` against an AWS emulator and brokers of Kafka, as somebody runs it before a deployment."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.local.emulator import isolated
from examples.quickstart.resources import Clients
from tests.integration.command import penstock
from tests.integration.consuming import all_committed, consuming, create, numbered, produce, unique

ROUTE = "\nroutes: {orders: {key: /a, to: [out], dead_letter: dead}}\n"


def doctor(folder: Path, text: str, endpoint: str = "") -> tuple[int, dict[str, dict[str, Any]], str]:
    """The exit code, what is found of `sink out` or `source incoming` by subject, and standard error."""
    (folder / "penstock.yaml").write_text("server: {port: 0}\nadmin: {port: 0}\n" + text)
    credentials = {name: value for name, value in isolated({}, endpoint or None).items() if name.startswith("AWS_")}
    done = penstock("doctor", "--json", folder=folder, more=credentials)
    findings = json.loads(done.stdout)["findings"]
    about = {each["about"]: each for each in findings if each["of"] in ("sink out", "source incoming")}
    callers = {each["about"]: each for each in findings if each["of"] == "credentials"}
    return done.returncode, callers | about, done.stderr


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
    code, found, _ = doctor(tmp_path, text % name, emulator)
    assert code == 0, found
    assert "2 open shards" in found["shards"]["found"]
    assert found["credentials"]["found"]
    assert found["clock"]["level"] == "ok"
    code, found, _ = doctor(tmp_path, text % "no-such-stream", emulator)
    assert code == 1
    assert found["stream"]["level"] == "problem"
    assert "create it" in found["stream"]["do"]


def test_brokers_that_are_away_are_told_once_and_quietly(tmp_path: Path) -> None:
    for text in (sink("127.0.0.1:1", "orders"), source("127.0.0.1:1", "orders", "g")):
        code, found, said = doctor(tmp_path, text)
        assert code == 1
        assert "Connection refused" in found["brokers"]["found"]
        assert "check `brokers`" in found["brokers"]["do"]
    assert "%3|" not in said


def test_a_topic_of_the_mock_cluster_is_told_as_far_as_that_tells(mock_cluster: str, tmp_path: Path) -> None:
    code, found, _ = doctor(tmp_path, sink(mock_cluster, "events"))
    assert code == 0, found
    assert "4 partitions" in found["topic"]["found"]
    code, found, _ = doctor(tmp_path, source(mock_cluster, "no-such-topic", "g"))
    assert code == 1
    assert "no-such-topic" in found["topic"]["found"]


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
    ],
)
def test_a_topic_is_compared_with_what_is_written_to_it(
    settings: dict[str, str], more: str, about: str, level: str, words: str, real_kafka: str, tmp_path: Path
) -> None:
    topic = unique("doctor")
    create(real_kafka, topic, 1, **settings)
    code, found, _ = doctor(tmp_path, sink(real_kafka, topic, more))
    assert (found[about]["level"], words in found[about]["found"]) == (level, True), found[about]
    assert code == any(each["level"] == "problem" for each in found.values())


@pytest.mark.real_kafka
def test_a_topic_that_is_not_there_is_to_be_created(real_kafka: str, tmp_path: Path) -> None:
    code, found, _ = doctor(tmp_path, sink(real_kafka, unique("nowhere")))
    assert code == 1
    assert "create it" in found["topic"]["do"]


@pytest.mark.real_kafka
async def test_a_group_is_told_with_its_members_and_its_lag(real_kafka: str, tmp_path: Path) -> None:
    topic = unique("doctor")
    create(real_kafka, topic)
    produce(real_kafka, topic, numbered(range(3)))
    code, found, _ = doctor(tmp_path, source(real_kafka, topic, "nobody-yet"))
    assert code == 0, found
    assert "is new" in found["group"]["found"] or "0 members" in found["group"]["found"]
    async with consuming(tmp_path, real_kafka, topic) as running:
        await running.until(lambda: all_committed(real_kafka, topic))
    produce(real_kafka, topic, numbered(range(5)))
    code, found, _ = doctor(tmp_path, source(real_kafka, topic, topic))
    assert code == 0, found
    assert "5 messages" in found["lag"]["found"], found


@pytest.mark.real_kafka
def test_credentials_that_a_broker_refuses_are_told_as_such(secured_kafka: dict[str, str], tmp_path: Path) -> None:
    wrong = ", auth: {plain: {username: alice, password: wrong}}, tls: false"
    code, found, _ = doctor(tmp_path, sink(secured_kafka["plain"], "events", wrong))
    assert code == 1
    assert found["credentials"]["level"] == "problem"
    assert "check" in found["credentials"]["do"]
