"""What a kafka source makes of CloudEvents in both modes, plain JSON and tombstones."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from deploy.local.mock_cluster import MockCluster
from tests.integration.consuming import all_committed, consuming, produce

TOPIC = "orders"
DATA = b'{"n":1}'
BINARY = [("ce_specversion", b"1.0"), ("ce_id", b"e-1"), ("ce_source", b"/shop"), ("ce_type", b"order")]
STRUCTURED = {"specversion": "1.0", "id": "e-2", "source": "/shop", "type": "order", "data": {"n": 2}}


@pytest.fixture
def brokers() -> Iterator[str]:
    with MockCluster([TOPIC], partitions=1) as mock:
        yield mock.bootstrap


async def test_cloud_events_are_read_in_both_modes_and_a_tombstone_as_the_codec_says(
    brokers: str, tmp_path: Path
) -> None:
    body = orjson.dumps(STRUCTURED)
    produce(brokers, TOPIC, [DATA], headers=[*BINARY, ("content-type", b"application/json")])
    produce(brokers, TOPIC, [body], headers=[("content-type", b"application/cloudevents+json")])
    produce(brokers, TOPIC, [None], key="gone")
    produce(brokers, TOPIC, [DATA], headers=[("ce_specversion", b"1.0"), ("ce_id", b"\xff")])
    codec = {"type": "cloudevents", "tombstones": "skip"}
    async with consuming(tmp_path, brokers, TOPIC, codec=codec) as running:
        await running.until(lambda: all_committed(brokers, TOPIC))
        assert running.lines() == [DATA, body]
        assert [letter["request_id"] for letter in running.letters()] == [f"{TOPIC}/0/3"]


async def test_a_tombstone_that_is_no_event_is_a_dead_letter_with_its_key(brokers: str, tmp_path: Path) -> None:
    produce(brokers, TOPIC, [DATA])
    produce(brokers, TOPIC, [None], key="gone")
    async with consuming(tmp_path, brokers, TOPIC, codec="json") as running:
        await running.until(lambda: all_committed(brokers, TOPIC))
        assert running.lines() == [DATA]
        (letter,) = running.letters()
        assert (letter["request_id"], letter["key"], letter["body"]) == (f"{TOPIC}/0/1", "gone", "")
