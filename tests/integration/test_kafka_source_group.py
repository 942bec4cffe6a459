"""Two replicas in a group under load on real Apache Kafka, with all that `python -m bench.group` does to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.group.campaign import Campaign
from deploy.local.apache_kafka import ApacheKafka
from tests.integration.real_kafka import REAL, WHY_NOT


@pytest.fixture(scope="module")
def broker() -> Iterator[ApacheKafka]:
    """A broker of its own, which may be killed."""
    if not REAL:
        pytest.skip(f"no real Apache Kafka: {WHY_NOT}")
    with ApacheKafka() as broker:
        yield broker


@pytest.mark.real_kafka
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_group_loses_nothing_keeps_the_order_of_keys_and_sends_again_only_what_was_in_flight(
    broker: ApacheKafka, tmp_path: Path, protocol: str
) -> None:
    report = Campaign(broker, protocol, tmp_path, per_second=300).run(rounds=1)
    assert report.produced > 0
    assert report.holds, report.text()
