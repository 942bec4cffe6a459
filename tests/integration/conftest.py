"""The outside world of the integration tests, once per session: the AWS emulator and a Kafka broker, on loopback."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.child import Child
from deploy.local.emulator import emulator as running_emulator
from deploy.local.emulator import isolated
from tests.integration.real_kafka import REAL, WHY_NOT


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of the AWS emulator. Shared: name resources after your test."""
    log = tmp_path_factory.mktemp("emulator") / "emulator.log"
    with running_emulator(log, isolated(os.environ)) as (_, endpoint):
        yield endpoint


@pytest.fixture(scope="session")
def mock_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of librdkafka's mock cluster. It creates a topic, of 4 partitions, when one is first used."""
    for announced in _broker("mock_cluster", tmp_path_factory.mktemp("mock_cluster")):
        yield announced["bootstrap"]


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a real Apache Kafka with all its listeners announces; where there is none its tests are skipped."""
    if not REAL:
        pytest.skip(f"no real Apache Kafka: {WHY_NOT}")
    yield from _broker("apache_kafka", tmp_path_factory.mktemp("apache_kafka"), "--security")


@pytest.fixture(scope="session")
def real_kafka(secured_kafka: dict[str, str]) -> str:
    """Bootstrap servers of that Apache Kafka, where it asks for no credentials."""
    return secured_kafka["bootstrap"]


def _broker(module: str, folder: Path, *options: str) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", f"deploy.local.{module}", "--topics", "events", "--partitions", "4", *options]
    with Child(module, command, folder / f"{module}.log", announces=True) as child:
        yield child.announcement(120)
