"""The sum of the primitives: what no service that keeps the promises of ours can do without, each timed by itself.

`python -m bench.primitives ROW BOOTSTRAP ENDPOINT` prints microseconds of CPU per event as JSON, by part: of all
threads of the process, so librdkafka's and the kernel's work for the sockets too. None of our service's code is in it.
"""

import gzip
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from hashlib import md5
from itertools import count
from time import process_time, time_ns
from typing import Any

import jsonschema_rs
import msgspec
import orjson

from bench import bodies
from bench.destinations import Caller, aggregate, aws, kafka
from bench.rows import ROWS, Row

SECONDS = 0.3
"""CPU time that each part is repeated for."""
CHARGE = 220
Part = Callable[[], object]


class Envelope(msgspec.Struct, gc=False):
    """A CloudEvent, its data left as it is."""

    specversion: str
    id: str
    source: str
    type: str
    time: str | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")


class Event(msgspec.Struct, gc=False):
    """What flows."""

    id: str
    route: str
    key: str | None
    body: bytes
    content_type: str
    attributes: Any
    origin: Any


class Receipt:
    """What a request waits for."""

    __slots__ = ("done", "left")

    def __init__(self, left: int, done: Callable[[], object]) -> None:
        self.left = left
        self.done = done

    def settle(self, events: int) -> None:
        """Count; the last ones call."""
        self.left -= events
        if not self.left:
            self.done()


def edge(row: Row) -> dict[str, tuple[Part, int]]:
    """The parts before a destination: what is done, and for how many events."""
    raw = [bodies.event(number) for number in range(row.events)]
    whole = raw[0] if row.events == 1 else bodies.lines(raw) if row.lines else bodies.array(raw)
    squeezed = gzip.compress(whole)
    split = msgspec.json.Decoder(list[msgspec.Raw]).decode
    envelope = msgspec.json.Decoder(Envelope).decode
    skip = msgspec.json.Decoder(msgspec.Raw).decode
    valid = jsonschema_rs.validator_for(bodies.SCHEMA).is_valid
    datas = [bytes(envelope(each).data) for each in raw]
    numbers, counters = count(), [0] * 8

    def accounted() -> None:
        """Events, their charge, one receipt, the counters of the edge and of each lane, and the answer."""
        now = time_ns()
        events = [Event(f"{next(numbers):x}", "orders", "k", each, "json", None, now) for each in raw]
        charge = sum([len(each.body) + len(each.id) + len(each.key or "") + CHARGE for each in events])
        answer: list[bytes] = []
        receipt = Receipt(len(events) * len(row.to), lambda: answer.append(b'{"failed":0,"request":"%d"}' % now))
        for lane in range(len(row.to)):
            counters[lane] += charge
            counters[lane + 4] += len(events)
            counters[lane] -= charge
            receipt.settle(len(events))

    parts: dict[str, tuple[Part, int]] = {}
    if row.gzip:
        parts["inflate"] = lambda: gzip.decompress(squeezed), row.events
    if row.lines:
        parts["split"] = lambda: [skip(each) for each in whole.split(b"\n")], row.events
    else:
        if row.events > 1:
            parts["split"] = lambda: [bytes(each) for each in split(whole)], row.events
        parts["envelope"] = lambda: [envelope(each) for each in raw], row.events
    if row.schema:
        parts["schema"] = lambda: [valid(orjson.loads(each)) for each in datas], row.events
    parts["identity, receipt, accounting, charge"] = accounted, row.events
    return parts


def parts(row: Row, bootstrap: str, endpoint: str, stack: ExitStack) -> dict[str, tuple[Part, int]]:
    """All parts of a row; their connections last as long as `stack`."""
    found = edge(row)
    outstanding = row.events * row.connections
    events = [bodies.event(number) for number in range(min(500, outstanding))]
    keys = [f"order-{number:03d}" for number in range(len(events))]
    if row.events == 1:
        # what comes while one call is under way, with as many connections
        events, keys = events[: outstanding // 2], keys[: outstanding // 2]
    for name in row.to:
        if name == "kafka":
            found[name] = kafka(bootstrap, events, keys, headers=8), len(events)
        elif row.settings.get(name, {}).get("aggregate") == "kpl":
            found["kpl"] = aggregate(stack.enter_context(Caller(endpoint, name)), events, keys), len(events)
        else:
            found[name] = aws(stack.enter_context(Caller(endpoint, name)), events, keys)
        if name == "kinesis":
            found["shard"] = lambda: [int.from_bytes(md5(key.encode()).digest(), "big") for key in keys], len(keys)
    return found


def cost(part: Part, events: int) -> float:
    """Microseconds of CPU per event."""
    part()
    times, began = 0, process_time()
    while (spent := process_time() - began) < SECONDS:
        part()
        times += 1
    return spent / (times * events) * 1e6


def main(arguments: list[str]) -> None:
    """Print the parts of a row."""
    name, bootstrap, endpoint = arguments
    row = next(each for each in ROWS if each.name == name)
    with ExitStack() as stack:
        print(json.dumps({part: cost(*work) for part, work in parts(row, bootstrap, endpoint, stack).items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
