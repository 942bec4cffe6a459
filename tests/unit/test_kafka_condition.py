"""What is trouble of a consumer, and when it is over: what brokers and librdkafka say, scripted."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from service.sources.kafka.condition import NOBODY, Condition


class Brokers:
    """A consumer's view of them."""

    def __init__(self) -> None:
        self.topics: dict[str, KafkaError | None] = {"t": None}
        self.away = False
        self.ends = {0: (3, 10), 1: (0, 7), 2: (0, 5)}
        self.asked: list[tuple[int, bool]] = []

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition("t", number) for number in self.ends]

    def get_watermark_offsets(self, partition: TopicPartition, *, timeout: float, cached: bool) -> tuple[int, int]:
        del timeout
        self.asked.append((partition.partition, cached))
        return self.ends[partition.partition]

    def list_topics(self, topic: str = "", *, timeout: float) -> Any:
        del timeout
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, "refused"))
        found = {name: SimpleNamespace(error=error) for name, error in self.topics.items() if name == topic}
        return SimpleNamespace(topics=found)


class Heard:
    """What the loop heard last."""

    trouble: str | None = None
    ends: Mapping[tuple[str, int], int] = {}

    def troubled(self, trouble: str | None) -> None:
        self.trouble = trouble

    def seen(self, ends: Mapping[tuple[str, int], int], starts: Mapping[tuple[str, int], int]) -> None:
        del starts
        self.ends = ends


class Watched:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("service.sources.kafka.condition.monotonic", lambda: self.now)
        self.heard, self.brokers = Heard(), Brokers()
        listener: Any = self.heard
        self.condition = Condition("s", ["t", "^p"], listener, asyncio.get_running_loop())

    async def look(self, *paused: int) -> str | None:
        consumer: Any = self.brokers
        self.condition.look(consumer, [("t", number) for number in paused])
        await asyncio.sleep(0)
        return self.heard.trouble

    async def complain(self, code: int, text: str = "so it is") -> str | None:
        self.condition.complain(KafkaError(code, text))
        await asyncio.sleep(0)
        return self.heard.trouble


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


async def test_a_topic_that_is_missing_is_trouble_until_it_is_there_whatever_else_is_received(watched: Watched) -> None:
    watched.brokers.topics = {"t": KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)}
    assert "there is no topic 't'" in (await watched.look() or "")
    watched.condition.receives()
    assert "there is no topic 't'" in (await watched.look() or "")
    watched.brokers.topics = {"t": None}
    assert await watched.look() is None
    watched.brokers.topics = {}
    assert await watched.look() is None, "nobody has complained"
    await watched.complain(KafkaError.UNKNOWN_TOPIC_OR_PART)
    assert "there is no topic 't'" in (await watched.look() or "")


async def test_one_broker_that_is_away_is_no_trouble_but_says_why_all_are(watched: Watched) -> None:
    assert await watched.complain(KafkaError._TRANSPORT, "refused") is None
    assert await watched.complain(KafkaError._ALL_BROKERS_DOWN, "0/2 brokers are down") == f"{NOBODY}: refused"
    assert await watched.complain(KafkaError._RESOLVE, "no such host") == f"{NOBODY}: no such host"
    watched.brokers.away = True
    watched.now += 60
    assert (await watched.look() or "").startswith(NOBODY)
    watched.brokers.away = False
    assert await watched.look() is None


async def test_what_librdkafka_says_again_and_again_does_not_come_and_go(watched: Watched) -> None:
    for _ in range(5):
        assert await watched.complain(KafkaError._AUTHENTICATION, "wrong password") == "wrong password"
        watched.now += 1
        assert await watched.look() == "wrong password"
    watched.now += 3
    assert await watched.look() is None


async def test_what_is_not_allowed_is_said_once_and_is_trouble_until_something_is_received(watched: Watched) -> None:
    await watched.complain(KafkaError.GROUP_AUTHORIZATION_FAILED, "not allowed")
    watched.now += 3600
    assert await watched.look() == "not allowed"
    watched.condition.receives()
    await asyncio.sleep(0)
    assert watched.heard.trouble is None


async def test_an_error_after_which_nothing_goes_on_is_raised(watched: Watched) -> None:
    with pytest.raises(KafkaException):
        watched.condition.complain(KafkaError(KafkaError._FATAL, "fenced", True))


async def test_what_is_paused_is_asked_for_over_the_network_one_at_a_look(watched: Watched) -> None:
    await watched.look(1, 2)
    assert watched.brokers.asked == [(0, True), (1, False)]
    await watched.look(1, 2)
    assert watched.brokers.asked[2:] == [(0, True), (2, False)]
    assert watched.heard.ends == {("t", 0): 10, ("t", 2): 5}
