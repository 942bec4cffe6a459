"""A position in a trace on its way through a kafka source to a kafka sink, on librdkafka's mock cluster."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.mock_cluster import MockCluster
from service.building import build, sources
from service.config import load
from service.telemetry.meter import Meter
from tests.contract.mock_kafka import received
from tests.integration.consuming import QUICK, produce

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
BINARY = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/s", "ce_type": "t", "content-type": "application/json"}


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster(["raw", "orders"], partitions=1, brokers=1) as mock:
        yield mock


async def through(folder: Path, cluster: MockCluster, codec: str, *messages: dict[str, Any]) -> list[dict[str, str]]:
    """What is said of their traces by these messages' events at the sink."""
    kafka = {"type": "kafka", "brokers": cluster.bootstrap}
    tree = {
        "sinks": {"out": {**kafka, "topic": "orders"}, "dead": {"type": "file", "path": str(folder / "dead")}},
        "routes": {"orders": {"to": ["out"], "dead_letter": "dead"}},
        "sources": {
            "raw": {**kafka, "group": "g", "topics": {"raw": "orders"}, "codec": codec, "properties": QUICK},
        },
    }
    file = folder / "penstock.yaml"
    file.write_text(yaml.safe_dump(tree))
    for headers in messages:
        await asyncio.to_thread(produce, cluster.bootstrap, "raw", [b'{"n":1}'], headers=headers)
    async with AsyncExitStack() as stack:
        config, meter = load(file, {}), Meter()
        pipeline = await build(config, meter, stack)
        (source,) = sources(config, pipeline, meter).values()
        await stack.enter_async_context(source)
        async with asyncio.timeout(30):
            while meter.lane_settled["out", "orders", "delivered", ""] < len(messages):
                await asyncio.sleep(0.02)
        source.stop()
        await pipeline.drain(1)
    found = await asyncio.to_thread(received, cluster.bootstrap, "orders")
    return [{name: value for name, value in each.headers.items() if "trace" in name} for each in found]


async def test_the_header_of_each_message_goes_on_with_its_event(cluster: MockCluster, tmp_path: Path) -> None:
    said = await through(
        tmp_path, cluster, "json", {"traceparent": PARENT, "tracestate": "a=1"}, {"traceparent": OTHER}, {}
    )
    state = {"tracestate": "a=1", "ce_tracestate": "a=1"}
    assert said == [
        {"traceparent": PARENT, "ce_traceparent": PARENT, **state},
        {"traceparent": OTHER, "ce_traceparent": OTHER},
        {},
    ]


async def test_an_events_extension_stays_and_goes_before_the_header(cluster: MockCluster, tmp_path: Path) -> None:
    said = await through(
        tmp_path,
        cluster,
        "cloudevents",
        BINARY | {"ce_traceparent": PARENT, "traceparent": OTHER},
        BINARY | {"ce_id": "2", "traceparent": OTHER},
        BINARY | {"ce_id": "3", "traceparent": "rubbish"},
    )
    assert said == [
        {"traceparent": PARENT, "ce_traceparent": PARENT},
        {"traceparent": OTHER, "ce_traceparent": OTHER},
        {},
    ]
