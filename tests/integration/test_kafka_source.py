"""The kafka source against brokers that fail: librdkafka's mock cluster, in this process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message

from deploy.local.mock_cluster import MockCluster
from service.sinks.contract import ProbeError
from service.sources.kafka import polling as kafka_consumer
from tests.integration.consuming import all_committed, consuming, numbered, offsets, produce, unique

TOPIC = "orders"
OFFSET_COMMIT = 8
"""API key (Kafka protocol guide)."""


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster([TOPIC], partitions=2) as mock:
        yield mock


async def test_brokers_that_are_away_are_trouble_and_none_any_more_when_they_are_back(
    cluster: MockCluster, tmp_path: Path
) -> None:
    produce(cluster.bootstrap, TOPIC, numbered(range(3)))
    cluster.down()
    async with consuming(tmp_path, cluster.bootstrap, TOPIC) as running:
        await running.until(lambda: running.gauges.trouble is not None)
        assert running.health.readyz()[0] == 200
        (reason,) = running.health.readyz()[1]["reasons"]
        assert reason["source"] == tmp_path.name
        assert "no broker answers" in reason["reason"]
        cluster.up()
        await running.delivered(3)
        await running.until(lambda: running.gauges.trouble is None)
        cluster.down()
        await running.until(lambda: running.gauges.trouble is not None)
        cluster.up()
        await running.until(lambda: running.gauges.trouble is None)
        assert running.health.readyz() == (200, {"status": "ready"})


class _FailsOnce(Consumer):
    """Raises once what is no error of Kafka, when it has been polled some times."""

    polls = 0

    def poll(self, timeout: float | None = None) -> Message | None:
        _FailsOnce.polls += 1
        if _FailsOnce.polls == 20:
            raise ValueError("a defect")
        return super().poll(timeout)  # type: ignore[arg-type]


async def test_a_consumer_that_fails_in_a_way_nobody_thought_of_is_built_anew(
    cluster: MockCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_consumer, "Consumer", _FailsOnce)
    monkeypatch.setattr(kafka_consumer, "REBUILD_SECONDS", 0.05)
    async with consuming(tmp_path, cluster.bootstrap, TOPIC) as running:
        await running.until(lambda: _FailsOnce.polls > 20)
        produce(cluster.bootstrap, TOPIC, numbered(range(3)))
        await running.delivered(3)
        await running.until(lambda: running.gauges.trouble is None)


async def test_while_a_sink_is_away_nothing_is_committed_and_only_its_partitions_stand(
    cluster: MockCluster, tmp_path: Path
) -> None:
    brokers = cluster.bootstrap
    async with consuming(tmp_path, brokers, TOPIC, window_messages=80) as running:
        await running.assigned(2)
        running.close("out")
        produce(brokers, TOPIC, numbered(range(500)))
        await running.until(lambda: running.gauges.paused == 1)
        ahead = running.gauges.unsettled_messages
        assert 0 < ahead <= 80
        produce(brokers, TOPIC, numbered(range(3)), partition=1)
        await running.until(lambda: running.gauges.unsettled_messages == ahead + 3)
        produce(brokers, TOPIC, numbered(range(500, 510)))
        await running.until(lambda: running.gauges.lag == 513)
        running.open("out")
        await running.delivered(513)
        await running.until(lambda: running.gauges.lag == 0 and running.gauges.paused == 0)
        await running.until(lambda: all_committed(brokers, TOPIC, 2))
        assert len(set(running.lines())) == 510


async def test_a_paused_partition_that_goes_and_comes_again_is_read(cluster: MockCluster, tmp_path: Path) -> None:
    brokers = cluster.bootstrap
    settings: dict[str, Any] = {"window_messages": 80, "revoke_timeout": "100ms"}
    async with consuming(tmp_path / "a", brokers, TOPIC, **settings) as a:
        await a.assigned(2)
        a.close("out")
        for partition in range(2):
            produce(brokers, TOPIC, numbered(range(200 * partition, 200 * partition + 200)), partition)
        await a.until(lambda: a.gauges.paused == 2)
        async with consuming(tmp_path / "b", brokers, TOPIC, **settings) as b:
            await b.assigned(1)
            await a.assigned(1)
        await a.assigned(2)
        a.open("out")
        await a.until(lambda: all_committed(brokers, TOPIC, 2))
        assert set(a.lines() + b.lines()) == set(numbered(range(400)))
        assert a.gauges.paused == a.gauges.lag == 0


async def test_while_the_dead_letters_sink_is_away_nothing_is_committed_past_what_waits_for_it(
    cluster: MockCluster, tmp_path: Path
) -> None:
    brokers = cluster.bootstrap
    async with consuming(tmp_path, brokers, TOPIC, window_messages=80) as running:
        running.close("dead")
        await running.assigned(2)
        produce(brokers, TOPIC, [*numbered(range(5)), b"rubbish", *numbered(range(5, 200))])
        await running.until(lambda: running.gauges.paused == 1)
        await running.until(lambda: offsets(brokers, TOPIC, TOPIC)[0][0] == 5)
        running.open("dead")
        await running.delivered(200)
        await running.until(lambda: all_committed(brokers, TOPIC))
        assert [letter["request_id"] for letter in running.letters()] == [f"{TOPIC}/0/5"]


async def test_a_topic_of_a_pattern_that_comes_later_is_read(cluster: MockCluster, tmp_path: Path) -> None:
    async with consuming(tmp_path, cluster.bootstrap, "^late.*") as running:
        later = unique("late")
        cluster.create_topic(later, 1)
        produce(cluster.bootstrap, later, numbered(range(3)))
        await running.delivered(3)


@pytest.mark.parametrize(
    ("asked", "told"), [("missing", "there is no topic 'missing'"), ("^missing", "no topic .* fits '.missing'")]
)
async def test_a_probe_names_what_there_is_not(cluster: MockCluster, tmp_path: Path, asked: str, told: str) -> None:
    async with consuming(tmp_path, cluster.bootstrap, [TOPIC, f"^{TOPIC}$"], group="sound") as running:
        await running.source.probe()
    async with consuming(tmp_path, cluster.bootstrap, [TOPIC, asked]) as running:
        with pytest.raises(ProbeError, match=told):
            await running.source.probe()


async def test_what_is_settled_is_committed_at_the_end(cluster: MockCluster, tmp_path: Path) -> None:
    async with consuming(tmp_path, cluster.bootstrap, TOPIC, commit_interval="60s") as running:
        produce(cluster.bootstrap, TOPIC, numbered(range(50)))
        await running.delivered(50)
    assert offsets(cluster.bootstrap, TOPIC, TOPIC)[0] == (50, 50)


async def test_a_source_ends_though_its_last_commit_is_never_answered(cluster: MockCluster, tmp_path: Path) -> None:
    async with consuming(tmp_path, cluster.bootstrap, TOPIC, commit_interval="1m") as running:
        await running.assigned(2)
        produce(cluster.bootstrap, TOPIC, numbered(range(3)))
        await running.delivered(3)
        cluster.delay_next(OFFSET_COMMIT, 600_000)
