"""A kafka source with its route and its sinks, in the test's own process."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from prometheus_client import generate_latest

from service.building import build, sources
from service.config import load
from service.delivery.health import Health, Phase
from service.delivery.pipeline import Pipeline
from service.receiving.contract import Source
from service.telemetry.meter import Meter
from service.telemetry.prometheus import registry
from service.telemetry.snapshot import Snapshot
from service.telemetry.source import SourceGauges
from tests.conservation import assert_balanced, samples
from tests.flow.scripted import assert_conserved

GATED = "tests.integration.gated_sink:Gated"
QUICK = {"topic.metadata.refresh.interval.ms": "200", "fetch.wait.max.ms": "50"}


@dataclass
class Consuming:
    """What runs, and what is behind its sinks."""

    folder: Path
    source: Source
    pipeline: Pipeline
    health: Health

    @property
    def gauges(self) -> SourceGauges:
        return self.source.gauges

    def lines(self, sink: str = "out") -> list[bytes]:
        """The events at a sink, in the order in which they came."""
        path = self.folder / sink
        if path.is_dir():
            return [line for file in sorted(path.iterdir()) for line in file.read_bytes().splitlines()]
        return path.read_bytes().splitlines() if path.exists() else []

    def letters(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.lines("dead")]

    def close(self, sink: str) -> None:
        """The sink is away."""
        (self.folder / f"{sink}.gate").unlink()

    def open(self, sink: str) -> None:
        """It is back."""
        (self.folder / f"{sink}.gate").touch()

    async def until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """Return once it holds. Raises TimeoutError."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{self.gauges}, {len(self.lines())} at the sink") from None

    async def delivered(self, count: int) -> None:
        """Return once so many events are at the sink."""
        await self.until(lambda: len(self.lines()) >= count)

    async def assigned(self, partitions: int) -> None:
        await self.until(lambda: self.gauges.partitions == partitions)


@asynccontextmanager
async def consuming(
    folder: Path, brokers: str, topics: str | Sequence[str], dead: Mapping[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Consuming]:
    """A source of these topics, from entering it to having left its group. Its sinks have gates, unless `dead` is
    another one. In the end the books balance.
    """
    folder.mkdir(exist_ok=True)
    names = [topics] if isinstance(topics, str) else topics
    source = {
        "type": "kafka",
        "brokers": brokers,
        "group": names[0].strip("^.*"),
        "topics": dict.fromkeys(names, "orders"),
        "codec": "json",
        "session_timeout": "2s",
        "commit_interval": "100ms",
        **settings,
        "properties": QUICK | settings.get("properties", {}),
    }
    sinks: dict[str, dict[str, Any]] = {
        name: {"type": GATED, "path": str(folder / name), "gate": str(folder / f"{name}.gate")}
        for name in ("out", "dead")
    }
    if dead is not None:
        sinks["dead"] = {"path": str(folder / "dead"), **dead}
    for name in sinks:
        (folder / f"{name}.gate").touch()
    tree = {
        "sinks": sinks,
        "routes": {"orders": {"to": ["out"], "dead_letter": "dead"}},
        "sources": {folder.name: source},
    }
    file = folder / "penstock.yaml"
    file.write_text(yaml.safe_dump(tree))
    async with AsyncExitStack() as stack:
        config, meter, health = load(file, {}), Meter(), Health()
        pipeline = await build(config, meter, stack)
        health.lanes, health.phase = pipeline.lanes, Phase.SERVING
        health.sources = found = sources(config, pipeline, meter)
        (only,) = found.values()
        await stack.enter_async_context(only)
        yield Consuming(folder, only, pipeline, health)
        only.stop()
        await pipeline.drain(1)
        assert_balanced(samples(generate_latest(registry(Snapshot("", meter, [], {}, []))).decode()))
    assert_conserved(meter, list(pipeline.lanes.values()))
    taken = meter.edge_received.total() - meter.edge_rejected.total()
    assert meter.lane_received["out", "orders"] == taken, "the edge and the lane tell different numbers"


# --- the broker's side


def create(brokers: str, topic: str, partitions: int = 1, **config: str) -> None:
    """A topic; `config` with `_` for the dots of its names."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    given = {name.replace("_", "."): value for name, value in config.items()}
    admin.create_topics([NewTopic(topic, partitions, 1, config=given)])[topic].result(30)


def producer(brokers: str, **settings: Any) -> Producer:
    given = {name.replace("_", "."): value for name, value in settings.items()}
    return Producer({"bootstrap.servers": brokers, "log_level": 0, "linger.ms": 0, **given})


def produce(brokers: str, topic: str, values: Iterable[bytes | None], partition: int = 0, **more: Any) -> None:
    """Write these, and wait until they are there."""
    made = producer(brokers, message_max_bytes=20 * 2**20)
    errors: list[KafkaError] = []
    for value in values:
        made.produce(
            topic, value, partition=partition, on_delivery=lambda e, _: errors.append(e) if e else None, **more
        )
        made.poll(0)
    assert made.flush(30) == 0
    assert not any(errors)


def numbered(numbers: Iterable[int]) -> list[bytes]:
    return [b'{"n":%d}' % number for number in numbers]


def offsets(brokers: str, group: str, topic: str, partitions: int = 1) -> list[tuple[int, int]]:
    """What is committed of each partition (-1001: nothing), and its end."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": group, "log_level": 0})
    try:
        asked = [TopicPartition(topic, number) for number in range(partitions)]
        return [
            (each.offset, consumer.get_watermark_offsets(each, timeout=10)[1])
            for each in consumer.committed(asked, timeout=10)
        ]
    finally:
        consumer.close()


def all_committed(brokers: str, topic: str, partitions: int = 1) -> bool:
    return all(at == end for at, end in offsets(brokers, topic, topic, partitions))


def unique(name: str) -> str:
    """A topic that no other test has."""
    return f"{name}-{os.urandom(4).hex()}"
