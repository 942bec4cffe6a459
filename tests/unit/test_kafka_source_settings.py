"""A kafka source's settings that cannot work are refused at their place; and what librdkafka gets of those that can."""

from pathlib import Path

import pytest

from service.config import load
from service.kafka.connection import connection
from service.sources.kafka.properties import OWNED, librdkafka
from service.sources.kafka.source import Kafka
from tests.unit.written import mistakes, write


def written(more: str = "", letters: str = "{type: file, path: dead}") -> str:
    """A source of one topic, with these further settings."""
    return (
        f"sinks: {{out: {{type: memory}}, dead: {letters}}}\n"
        "routes: {orders: {to: [out], dead_letter: dead}}\n"
        f'sources: {{k: {{type: kafka, brokers: "b:9092", group: g, topics: {{t: orders}}, codec: json{more}}}}}\n'
    )


def config(folder: Path, more: str = "") -> Kafka.Config:
    found = load(write(folder, written(more)), {}).sources["k"]
    assert isinstance(found, Kafka.Config)
    return found


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (", max_poll_interval: 5s", "max_poll_interval must be at least session_timeout"),
        (", max_poll_interval: 60s, revoke_timeout: 60s", "max_poll_interval must be longer than revoke_timeout"),
        (", start: '2026-01-31T12:00:00'", "a time needs its zone"),
        (", topics: {'^(': orders}", "is no regular expression"),
        (r", topics: {'^a-\d+': orders}", r"not every Kafka client reads '\\d'"),
        (", topics: {'^(?!a)b': orders}", "not every Kafka client reads '(?'"),
        (", topics: {'^a-[[:digit:]]': orders}", "not every Kafka client reads '[[:'"),
        (", topics: {'^a.*?b': orders}", "not every Kafka client reads '*?'"),
        (", topics: {'a b': orders}", "is no topic"),
        (", max_message: 13MiB", "the dead letters at sink 'dead' hold messages of"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, more: str, told: str) -> None:
    text = written(more)
    if "topics" in more:
        text = text.replace("topics: {t: orders}, ", "")
    (mistake,) = mistakes(tmp_path, text)
    assert told in mistake


def test_a_pattern_is_found_in_a_topic_as_librdkafka_finds_it(tmp_path: Path) -> None:
    text = written().replace("topics: {t: orders}", "topics: {'^t|audit': orders}")
    source = load(write(tmp_path, text), {}).sources["k"]
    assert isinstance(source, Kafka.Config)
    assert (source.route_of("t1"), source.route_of("my.audit")) == ("orders", "orders")
    with pytest.raises(LookupError, match="has no route"):
        source.route_of("other")


@pytest.mark.parametrize("sink", ["out", "other", "dead"])
def test_a_source_does_not_read_what_its_own_sinks_write(tmp_path: Path, sink: str) -> None:
    kafka = "type: kafka, brokers: 'c:9092,b:9092', topic"
    text = (
        f"sinks: {{out: {{{kafka}: of_out, fallback: other}}, other: {{{kafka}: of_other}}, "
        f"dead: {{{kafka}: of_dead, max_message: 8MiB}}}}\n"
        "routes: {orders: {to: [out], dead_letter: dead}}\n"
        "sources: {k: {type: kafka, brokers: 'b:9092', group: g, topics: {'^TOPIC$': orders}, codec: json}}\n"
    )
    assert mistakes(tmp_path, text) == []
    (mistake,) = mistakes(tmp_path, text.replace("TOPIC", f"of_{sink}"))
    assert f"it reads what sink {sink!r} writes" in mistake
    assert mistakes(tmp_path, text.replace("TOPIC", f"of_{sink}").replace("brokers: 'b:", "brokers: 'z:")) == []


def test_a_file_sink_takes_dead_letters_of_8_mib_and_a_queue_does_not(tmp_path: Path) -> None:
    assert mistakes(tmp_path, written(", max_message: 8MiB, memory: 32MiB")) == []
    queue = "{type: sqs, queue: 'https://sqs.eu-west-1.amazonaws.com/123456789012/dead', region: eu-west-1}"
    found = mistakes(tmp_path, written(letters=queue))
    assert any("lower it, or have another sink for them" in mistake for mistake in found)


def test_a_member_that_is_soon_thought_dead_is_heard_of_more_often(tmp_path: Path) -> None:
    given = librdkafka(config(tmp_path, ", session_timeout: 2s"))
    assert (given["session.timeout.ms"], given["heartbeat.interval.ms"]) == (2000, 500)
    assert librdkafka(config(tmp_path))["heartbeat.interval.ms"] == 3000


def test_a_group_of_the_consumer_protocol_says_itself_how_long_a_session_is(tmp_path: Path) -> None:
    given = librdkafka(config(tmp_path, ", protocol: consumer"))
    assert given["group.protocol"] == "consumer"
    assert not {"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"} & given.keys()


def test_a_property_that_the_source_owns_is_a_mistake_and_another_is_taken(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, written(", properties: {enable.auto.commit: 'true'}"))
    assert "properties.enable.auto.commit: cannot be set here" in mistake
    assert librdkafka(config(tmp_path, ", properties: {fetch.wait.max.ms: '7'}"))["fetch.wait.max.ms"] == "7"


@pytest.mark.parametrize("more", [", instance_id: a", ", protocol: consumer"])
def test_whatever_the_source_sets_is_its_own_but_for_its_defaults(tmp_path: Path, more: str) -> None:
    found = config(tmp_path, more)
    mine = librdkafka(found).keys() - connection(found).keys()
    assert mine - OWNED == {"reconnect.backoff.max.ms", "topic.metadata.refresh.interval.ms", "log.connection.close"}
