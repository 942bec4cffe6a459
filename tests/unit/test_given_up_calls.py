"""A call that is given up while the other side takes nothing leaves no connection, and so no request, behind."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from service.sinks.contract import Batch
from service.sinks.kinesis import Kinesis
from tests.contract.fake_aws import ENVIRONMENT
from tests.contract.harness import event
from tests.flow.resident_requests import blackhole


def connected(port: int) -> int:
    """Sockets of this machine that are connected, or are still to send something, to `port` (Linux)."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(each[2].endswith(f":{port:04X}") and each[9] != "0" for each in sockets)


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT, and reads /proc/net/tcp")
async def test_the_connection_of_a_call_that_was_given_up_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with blackhole() as listener:
        port = listener.getsockname()[1]
        settings = {"stream": "orders", "region": "eu-west-1", "endpoint_url": f"http://127.0.0.1:{port}"}
        batch = Batch([event(n, os.urandom(10_000)) for n in range(490)])
        async with Kinesis("orders", Kinesis.Config(type="kinesis", call_timeout="500ms", **settings)) as sink:
            await sink.shards.stop()
            write = asyncio.create_task(sink.write(batch))
            async with asyncio.timeout(30):
                while not connected(port):
                    await asyncio.sleep(0.01)
            write.cancel()
            await asyncio.gather(write, return_exceptions=True)
            async with asyncio.timeout(30):
                while connected(port):
                    await asyncio.sleep(0.05)
