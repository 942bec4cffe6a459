"""How much the process grows by requests in flight: run as a program with the name of a sink, prints JSON.

Its destination takes connections and reads nothing. A process of its own, because a used heap says nothing of what
is held.
"""

import asyncio
import json
import os
import random
import socket
import sys
from pathlib import Path

import uvloop

from service import plugins
from service.event import Event, Origin
from service.heap import return_large_blocks
from service.sinks.contract import Batch, Sink
from tests.flow.resident import resident

PLACE = "PLACE"
"""Stands for the destination's host and port, which the system picks."""
AWS = {"region": "us-east-1", "endpoint_url": f"http://{PLACE}", "call_timeout": "60s", "patience": "200s"}
KINESIS = {"type": "kinesis", "stream": "s", **AWS}
FIREHOSE = {"type": "firehose", "delivery_stream": "s", **AWS}
SQS = {"type": "sqs", "queue": f"http://{PLACE}/000000000000/q", **AWS}
KAFKA = {"type": "kafka", "brokers": PLACE, "topic": "t", "call_timeout": "60s", "patience": "200s"}
KINDS = {
    "kinesis": (KINESIS, 500, 10_000),
    "kinesis, small": (KINESIS, 500, 200),
    "firehose": (FIREHOSE, 4000, 1000),
    "firehose, unpacked": (FIREHOSE | {"pack": "none"}, 500, 8000),
    "sqs": (SQS, 10, 100_000),
    "sqs, packed": (SQS | {"pack": "ndjson"}, 900, 1000),
    "kafka": (KAFKA, 1000, 1000),
    "kafka, small": (KAFKA, 1000, 100),
}
"""Of each: the sink's settings, events of one write, bytes of one event."""
WRITES = 12
SMALL_BYTES = 250
"""Of events that hardly fill a request: of such there are three times as many, so that what the heap had left over from
the start is little beside them."""


def events(count: int, size: int, number: int) -> list[Event]:
    """Events whose bodies are JSON that does not compress well and is hardly escaped."""
    rng = random.Random(number)
    origin = Origin("http", 1.8e9)
    return [
        Event(
            id=f"{number}-{index}",
            route="orders",
            key=None,
            body=json.dumps({"x": rng.randbytes((size - 9) // 2).hex()}).encode(),
            content_type="application/json",
            attributes={"specversion": "1.0", "id": f"{number}-{index}", "source": "/r", "type": "orders"},
            origin=origin,
        )
        for index in range(count)
    ]


def in_the_kernel(port: int) -> int:
    """Bytes that sockets connected to `port` of this machine have sent, and nobody has read (Linux)."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [each for each in sockets if f":{port:04X}" in (each[1][-5:], each[2][-5:])]
    return sum(int(queue, 16) for each in ours for queue in each[4].split(":"))


def blackhole() -> socket.socket:
    """A listening socket whose connections' first bytes fill it."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    listener.listen(100)
    return listener


async def still(port: int) -> int:
    """Bytes of the process, and of what it has sent, once they have not changed for half a second: however busy the
    machine is, what was asked for has been done then."""
    found, looks = 0, 0
    while looks < 10:
        await asyncio.sleep(0.05)
        now = resident() + in_the_kernel(port)
        looks = looks + 1 if now == found else 0
        found = now
    return found


async def main(kind: str) -> None:
    """Hold the writes of one kind, and print what they are charged, and how much the process has grown by them."""
    return_large_blocks()
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_EC2_METADATA_DISABLED": "true"}
    settings, count, size = KINDS[kind]
    with blackhole() as listener:
        port = listener.getsockname()[1]
        placed = {name: value.replace(PLACE, f"127.0.0.1:{port}") for name, value in settings.items()}
        plugin = plugins.load("sinks", settings["type"])
        sink: Sink = plugin("s", plugin.Config.model_validate(placed))
        held = [Batch(events(count, size, number)) for number in range(WRITES * (3 if size <= SMALL_BYTES else 1))]
        async with sink:
            writes = [asyncio.create_task(sink.write(held[0]))]
            before = await still(port)
            writes += [asyncio.create_task(sink.write(batch)) for batch in held[1:]]
            grown = await still(port) - before
            for write in writes:
                write.cancel()
            await asyncio.gather(*writes, return_exceptions=True)
    limits = sink.limits
    counted = [len(event.body) + limits.overhead_bytes for batch in held[1:] for event in batch.events]
    charged = sum(counted) * limits.request_factor + len(counted) * limits.request_overhead_bytes
    print(json.dumps({"grown": grown, "charged": round(charged)}))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
