"""What the whole process takes while a destination hangs and producers do not let go (design section 9)."""

import asyncio
import gzip
import json
import random
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.conservation import assert_conserved, samples
from tests.flow.resident_requests import blackhole
from tests.integration.command import Serving

MEMORY = 64
"""MiB: the smaller, the more a body or a call counts."""
PRODUCERS = 40
SECONDS = 6
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_EC2_METADATA_DISABLED": "true"}


def bodies() -> list[bytes]:
    """Bodies of about 3 MiB before gzip: many small events, and few large ones."""
    rng = random.Random(1)
    return [
        gzip.compress(
            json.dumps([{"id": f"{n}-{i}", "p": rng.randbytes(size // 2).hex()} for i in range(count)]).encode()
        )
        for n, (count, size) in enumerate(((80, 40_000), (8000, 300), (3000, 1000)))
    ]


def resident(process: int) -> float:
    """MiB of `process` in memory (Linux)."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 / 2**20


async def produce(url: str, body: bytes, until: float) -> set[int]:
    """Send `body` again and again. Returns the statuses of the answers."""
    statuses = set()
    loop = asyncio.get_running_loop()
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with aiohttp.ClientSession() as session:
        while loop.time() < until:
            async with session.post(f"{url}/v1/r", data=body, headers=headers) as answer:
                await answer.read()
                statuses.add(answer.status)
            await asyncio.sleep(0.05)
    return statuses


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/statm")
async def test_resident_memory_stays_within_one_and_a_half_times_the_budget(tmp_path: Path) -> None:
    with blackhole() as listener:
        (tmp_path / "penstock.yaml").write_text(f"""
server: {{auth: none, memory: {MEMORY}MiB, request_timeout: 5s}}
aws: {{region: us-east-1, endpoint_url: "http://127.0.0.1:{listener.getsockname()[1]}"}}
sinks: {{orders: {{type: kinesis, stream: orders, call_timeout: 1900ms, patience: 4s}}}}
routes: {{r: {{to: [orders]}}}}
""")
        with Serving("serve", folder=tmp_path, more=KEYS) as serving:
            idle = most = resident(serving.process.pid)
            loop = asyncio.get_running_loop()
            until = loop.time() + SECONDS
            sent = bodies()
            producing = [asyncio.create_task(produce(serving.url, sent[n % 3], until)) for n in range(PRODUCERS)]
            while not all(each.done() for each in producing):
                most = max(most, resident(serving.process.pid))
                await asyncio.sleep(0.02)
            statuses = set[int]().union(*[each.result() for each in producing])
            assert_conserved(samples(serving.get("/metrics")))
    assert statuses == {503}, "nothing can be delivered, and nothing is lost by a defect"
    assert most - idle > MEMORY / 3, "the lane was full"
    assert most - idle <= 1.5 * MEMORY
