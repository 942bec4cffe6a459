"""The outside world of the integration tests, once per session: the AWS emulator and a Kafka broker, on loopback."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.child import Child
from deploy.local.emulator import emulator as running_emulator
from deploy.local.emulator import isolated


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of the AWS emulator (Kinesis, Firehose, SQS, S3). Shared: name resources after your test."""
    log = tmp_path_factory.mktemp("emulator") / "emulator.log"
    with running_emulator(log, isolated(os.environ)) as (_, endpoint):
        yield endpoint


@pytest.fixture(scope="session")
def mock_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of librdkafka's mock cluster. It creates a topic, of 4 partitions, when one is first used."""
    yield from _broker("mock_cluster", tmp_path_factory.mktemp("mock_cluster"))


@pytest.fixture(scope="session")
def real_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real Apache Kafka; without PENSTOCK_TEST_KAFKA=real its tests are skipped."""
    if os.environ.get("PENSTOCK_TEST_KAFKA") != "real":
        pytest.skip("PENSTOCK_TEST_KAFKA is not `real`")
    yield from _broker("apache_kafka", tmp_path_factory.mktemp("apache_kafka"))


def _broker(module: str, folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", f"deploy.local.{module}", "--topics", "events", "--partitions", "4"]
    with Child(module, command, folder / f"{module}.log", announces=True) as child:
        yield child.announcement(120)["bootstrap"]
