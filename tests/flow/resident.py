"""How much the process grows while a lane holds many events: run as a program, prints JSON for one kind of body.

A process of its own, because a used heap says nothing of what is held.
"""

import asyncio
import gc
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from service.auth.principal import ANYBODY, Grant
from service.config.settings import ServerConfig
from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Terms
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.delivery.route import Leg, Route
from service.http.ingest import Ingest
from service.http.pending import Pending
from service.http.reading import Request
from service.outcome import Outcome
from service.sinks.contract import Batch, Limits, SinkConfig
from service.telemetry.meter import Meter
from tests.flow.scripted import Faults, ScriptedSink

REQUESTS = 300
BATCH = 100
KINDS = {
    "lines of 100 B": ("application/x-ndjson", 100, False),
    "lines of 1 KB": ("application/x-ndjson", 1000, False),
    "CloudEvents of 1 KB": ("application/cloudevents-batch+json", 1000, True),
    "CloudEvents of 5 KB": ("application/cloudevents-batch+json", 5000, True),
    "CloudEvents of 5 KB, of which 4 KB are an attribute": ("application/cloudevents-batch+json", 5000, True),
    "lines of 1 KB, wrapped, and kept as they came for the dead letters": ("application/x-ndjson", 1000, False),
}
ATTRIBUTE_BYTES = 4000


class Stuck(ScriptedSink):
    """Never answers."""

    Config: ClassVar[type[SinkConfig]] = SinkConfig

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        await asyncio.sleep(3600)
        return []


def body(request: int, size: int, enveloped: bool, attribute: int) -> bytes:
    """A body of BATCH events of about `size` bytes, `attribute` of them in the subject; each has an id of its own."""
    events = []
    for index in range(BATCH):
        event: dict[str, object] = {"data": {}}
        if enveloped:
            event = {
                "specversion": "1.0",
                "id": f"2f1c1f0a-3b0e-4b3e-{request:04d}-{index:012d}",
                "source": "/shop/web",
                "type": "com.example.order.created",
                "time": "2026-11-23T06:37:00.123Z",
                "datacontenttype": "application/json",
                "subject": f"order-{request}-{index}" + "x" * attribute,
                "data": {},
            }
        event["data"] = "x" * (size - len(json.dumps(event)))
        events.append(json.dumps(event).encode())
    return b"[" + b",".join(events) + b"]" if enveloped else b"\n".join(events)


def resident() -> int:
    """Bytes of this process in memory (Linux)."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def main(kind: str) -> None:
    """Hold REQUESTS requests, and print what was charged and how much the process grew."""
    content_type, size, enveloped = KINDS[kind]
    attribute = ATTRIBUTE_BYTES if "attribute" in kind else 0
    meter = Meter()
    sink = Stuck(Faults(), random.Random(1), limits=Limits(500, 2**22, 2**20))
    settings = SinkConfig.model_validate(
        {"type": "stuck", "memory": "1GiB", "patience": "3000s", "call_timeout": "100s"}
    )
    lane = Lane("s", sink, settings, meter)
    wraps = "wrapped" in kind
    letters = DeadLetters(lane) if wraps else None
    leg = Leg(lane, Terms("orders", True, patient=False, graveyard=letters), "cloudevents" if wraps else "original")
    route = Route("orders", (leg,))
    ingest = Ingest(Pipeline({"orders": route}, {"s": lane}), ServerConfig(), meter)
    kept: list[Pending] = []

    async def send(number: int) -> None:
        sent = body(number, size, enveloped, attribute)
        request = Request(
            ingest.head("orders", {"content-type": content_type}, Grant(ANYBODY)), sent, f"request-{number}"
        )
        kept.append(await ingest.taken(request))
        await asyncio.sleep(0)

    for number in range(20):
        await send(number)
    before, charged = resident(), lane.held_bytes
    for number in range(20, 20 + REQUESTS):
        await send(number)
    print(json.dumps({"grown": resident() - before, "charged": lane.held_bytes - charged}))
    await lane.abandon()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
