"""`python -m bench.costs`: what a million events cost in the units that AWS bills, with and without packing.

The real sinks write full batches to the contract suite's fake, and their own bills are read: so it is what the counters
of /metrics would show. Counts, not times: they do not depend on the machine. Events are orders with random ids, numbers
and times (seeded); what compression makes of other events is another number. Batches are full, as under load.
"""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from service.event import Event
from service.outcome import DELIVERED, Reason, Retry
from service.plugins import load
from service.sinks.contract import Batch, Billed, Sink
from service.sinks.kinesis import Kinesis
from tests.contract import harness
from tests.contract.fake_aws import FakeAws

EVENTS = 20_000
"""Of each size; figures are scaled up to a million."""
SIZES = (300, 1000)
MILLION = 1_000_000


class Row(Struct, frozen=True):
    """One way to send."""

    sink: str
    text: str
    unit: str
    """The counter that is shown."""
    settings: Mapping[str, Any] = {}


ROWS = (
    Row("firehose", "pack: none", "firehose_billed_bytes", {"pack": "none"}),
    Row("firehose", "pack: ndjson", "firehose_billed_bytes"),
    Row("firehose", "pack: ndjson, compress: gzip", "firehose_billed_bytes", {"compress": "gzip"}),
    Row("sqs", "pack: none", "sqs_billed_requests"),
    Row("sqs", "pack: ndjson", "sqs_billed_requests", {"pack": "ndjson"}),
    Row("sqs", "pack: ndjson, compress: gzip", "sqs_billed_requests", {"pack": "ndjson", "compress": "gzip"}),
    Row("kinesis", "aggregate: none", "kinesis_put_payload_units"),
    Row("kinesis", "aggregate: kpl", "kinesis_put_payload_units", {"aggregate": "kpl"}),
)
_PLACES = {"firehose": "delivery_stream", "sqs": "queue", "kinesis": "stream"}


def order(number: int, size: int, chance: random.Random) -> Event:
    """An event whose body is a CloudEvent of `size` bytes."""
    items: list[dict[str, Any]] = []
    data = {"customer": f"c-{chance.randrange(100_000)}", "items": items, "total": chance.randrange(10**6) / 100}
    content = {
        "specversion": "1.0",
        "id": f"{chance.getrandbits(64):016x}",
        "source": "/shop",
        "type": "com.example.order",
        "time": f"2026-11-23T06:{number // 1000 % 60:02d}:00.{number % 1000:03d}Z",
        "data": data | {"note": ""},
    }
    room = size - len(json.dumps(content))
    while room > 60:
        items.append({"sku": f"A-{chance.randrange(10_000)}", "quantity": chance.randrange(1, 9)})
        room = size - len(json.dumps(content))
    content["data"] = data | {"note": f"{chance.getrandbits(4 * room):0{room}x}"}
    body = json.dumps(content).encode()
    assert len(body) == size
    return harness.event(number, body)


async def bill(row: Row, events: Sequence[Event]) -> Mapping[str, int]:
    """What the row's sink is billed for writing all of `events`, in batches as full as its limits allow."""
    async with FakeAws() as aws:
        aws.streams["orders"], aws.delivery_streams["orders"], aws.queues["orders"] = [], [], []
        aws.shards.split(into=4)
        plugin = load("sinks", row.sink)
        where = {_PLACES[row.sink]: "orders", "region": "eu-west-1", "endpoint_url": aws.url}
        sink: Sink = plugin("costs", plugin.Config(type=row.sink, **where, **row.settings))
        async with sink:
            if isinstance(sink, Kinesis):
                await sink.shards.look_up()
            left = list(events)
            while left:
                batch = _first(left, sink)
                outcomes = await sink.write(Batch(batch))
                again = [event for event, told in zip(batch, outcomes, strict=True) if told is not DELIVERED]
                assert {told.reason for told in outcomes if isinstance(told, Retry)} <= {Reason.NO_ROOM}
                left = again + left[len(batch) :]
            assert isinstance(sink, Billed)
            return sink.bill()


def _first(events: Sequence[Event], sink: Sink) -> list[Event]:
    """As many of the first events as one write takes."""
    limits = sink.limits
    taken, space = [], limits.batch_bytes
    for event in events[: limits.batch_events]:
        space -= len(event.body) + len(event.key or "") + limits.overhead_bytes
        if space < 0:
            break
        taken.append(event)
    return taken


async def measure() -> list[tuple[Row, list[int]]]:
    """For each row the units of a million events of each size."""
    chance = random.Random(1)
    events = [[order(number, size, chance) for number in range(EVENTS)] for size in SIZES]
    return [(row, [(await bill(row, each))[row.unit] * MILLION // EVENTS for each in events]) for row in ROWS]


def main() -> None:
    """Print the table, in Markdown."""
    print("| sink | | unit, per million events | " + " | ".join(f"{size:,} B" for size in SIZES) + " | saves |")
    print("|---|---|---|" + "--:|" * (len(SIZES) + 1))
    plain: dict[str, list[int]] = {}
    for row, units in asyncio.run(measure()):
        first = plain.setdefault(row.sink, units)
        saves = " / ".join(f"{before / now:.1f} x" for before, now in zip(first, units, strict=True))
        numbers = " | ".join(f"{each:,}" for each in units)
        print(f"| `{row.sink}` | `{row.text}` | `{row.unit}` | {numbers} | {saves if units is not first else ''} |")


if __name__ == "__main__":
    main()
