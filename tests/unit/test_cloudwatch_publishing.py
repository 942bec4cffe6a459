"""What publishes as the settings say: nothing, or on real ways, with real threads and pipes."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from service.cloudwatch import emf
from service.cloudwatch.publisher import Publisher, publishing
from service.config.cloudwatch import CloudWatchConfig
from service.telemetry.meter import Meter
from service.telemetry.snapshot import Snapshot
from tests.unit.counted import everywhere
from tests.unit.emf import metrics_of


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe."""
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        os.close(end)


def fill(writing: int) -> None:
    """Write until the pipe takes no more."""
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)


async def never() -> Snapshot:
    raise AssertionError("nobody is to be asked")


async def counted() -> Snapshot:
    return everywhere()


async def test_off_takes_no_snapshot_and_starts_nothing() -> None:
    async with publishing(CloudWatchConfig(), never, Meter()):
        assert len(asyncio.all_tasks()) == 1


def test_without_calls_of_aws_the_sdk_is_not_loaded() -> None:
    code = (
        "import sys, asyncio\n"
        "from service.cloudwatch.publisher import publishing\n"
        "from service.config.cloudwatch import CloudWatchConfig\n"
        "from service.telemetry.meter import Meter\n"
        "from service.telemetry.snapshot import Snapshot\n"
        "async def taken(): return Snapshot('', Meter(), [], {}, [])\n"
        "async def main():\n"
        "    async with publishing(CloudWatchConfig(mode='emf'), taken, Meter()): pass\n"
        "asyncio.run(main())\n"
        "assert 'aiobotocore' not in sys.modules and 'botocore' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert metrics_of(done.stdout), "it has published all the same"


async def test_lines_arrive_at_every_interval_and_at_the_end(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    meter = Meter()
    async with (
        emf.opened(CloudWatchConfig(mode="emf"), writing) as way,
        Publisher(way, counted, meter, 0.05),
        asyncio.timeout(30),
    ):
        first = await asyncio.to_thread(os.read, reading, 2**20)
        assert first
    os.set_blocking(reading, False)
    rest = os.read(reading, 2**20)
    assert all(metrics_of(line) for line in (first + rest).splitlines(keepends=True))
    assert meter.cloudwatch_published > 0
    assert meter.cloudwatch_dropped == 0


async def test_a_reader_that_stops_reading_holds_up_nothing(
    pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    _, writing = pipe
    fill(writing)
    meter = Meter()
    async with (
        asyncio.timeout(30),
        emf.opened(CloudWatchConfig(mode="emf"), writing) as way,
        Publisher(way, counted, meter, 0.01),
    ):
        while not meter.cloudwatch_dropped:
            await asyncio.sleep(0.001)
    assert meter.cloudwatch_published == 0
    assert [each.getMessage() for each in caplog.records] == [
        "metrics cannot be published; events are not affected",
        "the last metrics were not published",
    ]
