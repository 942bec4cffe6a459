"""Spans of messages that a source hands over, and of calls that fail: at a collector that decodes them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import KafkaError
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from deploy.local.mock_cluster import PRODUCE, MockCluster
from service.building import build, sources, tracing
from service.config import load
from service.telemetry.meter import Meter
from service.telemetry.tracing import MOST_LINKS
from tests.contract.mock_kafka import received
from tests.integration.collector import Collector, attributes, links, named, parent, place
from tests.integration.consuming import QUICK, produce

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-00"


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster(["raw", "orders"], partitions=1, brokers=1) as mock:
        yield mock


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@asynccontextmanager
async def moving(
    folder: Path, cluster: MockCluster, collector: Collector, sample: float, linger: str = "0s"
) -> AsyncIterator[Meter]:
    """From one topic to another, recorded."""
    kafka = {"type": "kafka", "brokers": cluster.bootstrap}
    tree = {
        "sinks": {
            "out": {**kafka, "topic": "orders", "linger": linger},
            "dead": {"type": "file", "path": str(folder / "dead")},
        },
        "routes": {"orders": {"to": ["out"], "dead_letter": "dead"}},
        "sources": {
            "incoming": {**kafka, "group": "g", "topics": {"raw": "orders"}, "codec": "json", "properties": QUICK},
        },
        "tracing": {"exporter": "otlp", "endpoint": collector.url, "sample": sample},
    }
    file = folder / "penstock.yaml"
    file.write_text(yaml.safe_dump(tree))
    async with AsyncExitStack() as stack:
        config, meter = load(file, {}), Meter()
        spans = tracing(config, meter, stack)
        pipeline = await build(config, meter, stack, spans=spans)
        (source,) = sources(config, pipeline, meter, spans).values()
        await stack.enter_async_context(source)
        yield meter
        source.stop()
        await pipeline.drain(1)


async def delivered(meter: Meter, count: int) -> None:
    async with asyncio.timeout(30):
        while meter.lane_settled["out", "orders", "delivered", ""] < count:
            await asyncio.sleep(0.02)


async def through(
    folder: Path, cluster: MockCluster, collector: Collector, sample: float, *parents: str, linger: str = "0s"
) -> list[str]:
    """The `traceparent` of each message at the end."""
    for each in parents:
        headers: dict[str, Any] = {"traceparent": each} if each else {}
        await asyncio.to_thread(produce, cluster.bootstrap, "raw", [b'{"n":1}'], headers=headers)
    async with moving(folder, cluster, collector, sample, linger) as meter:
        await delivered(meter, len(parents))
    found = await asyncio.to_thread(received, cluster.bootstrap, "orders")
    return [each.headers.get("traceparent", "") for each in found]


def of_kind(spans: list[Span], kind: "Span.SpanKind.ValueType") -> list[Span]:
    return [span for span in spans if span.kind == kind]


async def test_messages_stay_in_their_traces_and_the_spans_of_many_are_linked_to_them(
    cluster: MockCluster, collector: Collector, tmp_path: Path
) -> None:
    said = await through(tmp_path, cluster, collector, 0, PARENT, UNSAMPLED, OTHER, "")
    assert said == [PARENT, UNSAMPLED, OTHER, ""]
    spans = collector.until(lambda spans: len(spans) >= 2)
    polls, writes = of_kind(spans, Span.SPAN_KIND_CONSUMER), of_kind(spans, Span.SPAN_KIND_CLIENT)
    assert [each for poll in polls for each in links(poll)] == [named(PARENT), named(OTHER)]
    assert [each for write in writes for each in links(write)] == [named(PARENT), named(OTHER)]
    assert parent(writes[0]) == named(PARENT)
    told = attributes(polls[0])
    assert (polls[0].name, told["messaging.system"], told["penstock.source"]) == ("process raw", "kafka", "incoming")
    assert (told["messaging.destination.name"], told["messaging.destination.partition.id"]) == ("raw", "0")
    assert sum(int(attributes(poll)["messaging.batch.message_count"]) for poll in polls) >= 2
    told = attributes(writes[0])
    assert (writes[0].name, told["messaging.system"]) == ("send orders", "kafka")
    assert told["messaging.destination.name"] == "orders"


async def test_messages_without_a_trace_are_in_that_of_our_span(
    cluster: MockCluster, collector: Collector, tmp_path: Path
) -> None:
    said = await through(tmp_path, cluster, collector, 1, "", "")
    polls = of_kind(collector.until(lambda spans: len(spans) >= 2), Span.SPAN_KIND_CONSUMER)
    assert set(map(named, said)) == {place(poll) for poll in polls}


async def test_links_are_bounded(cluster: MockCluster, collector: Collector, tmp_path: Path) -> None:
    parents = [f"{PARENT[:36]}{number:016x}-01" for number in range(1, 2 * MOST_LINKS)]
    await through(tmp_path, cluster, collector, 0, *parents, linger="1s")
    spans = collector.until(lambda spans: len(of_kind(spans, Span.SPAN_KIND_CLIENT)) >= 1)
    assert max(len(span.links) for span in spans) == MOST_LINKS
    assert not any(span.dropped_links_count for span in spans), "the SDK was given no more than it takes"


async def test_a_call_that_fails_says_why_and_each_attempt_is_a_span(
    cluster: MockCluster, collector: Collector, tmp_path: Path
) -> None:
    await asyncio.to_thread(produce, cluster.bootstrap, "raw", [b'{"n":1}'], headers={"traceparent": PARENT})
    cluster.fail_requests(PRODUCE, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    async with moving(tmp_path, cluster, collector, 0) as meter:
        await asyncio.to_thread(collector.until, lambda spans: len(of_kind(spans, Span.SPAN_KIND_CLIENT)) >= 1)
        cluster.stop_failing_requests(PRODUCE)
        await delivered(meter, 1)
    *failed, last = of_kind(collector.spans, Span.SPAN_KIND_CLIENT)
    for bad in failed:
        assert bad.status.code == Status.STATUS_CODE_ERROR
        assert attributes(bad)["error.type"] == "access_denied"
        assert attributes(bad)["penstock.events.failed"] == "1"
        assert links(bad) == [named(PARENT)]
    assert failed
    assert last.status.code == Status.STATUS_CODE_UNSET
    assert attributes(last)["penstock.events.failed"] == "0"
