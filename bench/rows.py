"""The workloads: what each row of the table sends, to where, and what it is to reach."""

import gzip
from collections.abc import Mapping
from itertools import cycle, islice
from typing import Any, Final

from msgspec import Struct

from bench import bodies

KINDS: Final = 1000
"""Events that differ, at least, in id and subject: they take turns, so that no cache sees only one."""
ROUTE: Final = "orders"
TAKER: Final = "taker"
"""A sink within the service that takes all at once and keeps nothing."""
_MINIMAL: Final = {"Prefer": "return=minimal"}


class Row(Struct, frozen=True):
    """One workload."""

    name: str
    title: str
    to: tuple[str, ...]
    """Destinations; each is the type of a sink."""
    events: int = 1
    """In a request."""
    size: int = bodies.EVENT_BYTES
    """Bytes of an event."""
    schema: bool = False
    """Whether our route has the JSON Schema. The naive service's body model always checks as much."""
    lines: bool = False
    """NDJSON, passed through without an envelope; the naive service gets an array of CloudEvents."""
    gzip: bool = False
    """The naive service gets it plain: it inflates nothing."""
    connections: int = 64
    """Of the closed loop: enough that the core is busy, whatever waits."""
    naive_connections: int = 0
    """Of the naive service's, where ours needs more because records wait to fill; 0 for as many."""
    settings: Mapping[str, Mapping[str, Any]] = {}
    """Further settings of sinks, by type."""
    server: Mapping[str, Any] = {}
    """Further settings of the server."""
    route: str = ROUTE
    """Name of the route, which the others have with a number."""
    routes: int = 1
    """Requests to ours go to each in turn."""
    sinks: int = 1
    """Of each type. Each route has one of them, in turn."""
    ack: str = "delivered"
    """Of ours. Events that are stored first may arrive after the run."""
    goal: float = 0.0
    """Multiples of the naive service's events a second to reach; 0 for none."""

    def connections_of(self, naive: bool) -> int:
        """Connections of one side."""
        return self.naive_connections if naive and self.naive_connections else self.connections

    @property
    def counted(self) -> tuple[str, ...]:
        """The destinations that run outside the service, and count."""
        return tuple(name for name in self.to if name != TAKER)

    def ours(self) -> bytes:
        """Requests to our service."""
        if self.lines:
            media_type = "application/x-ndjson"
        elif self.events > 1:
            media_type = "application/cloudevents-batch+json"
        else:
            media_type = "application/cloudevents+json"
        headers = {"Content-Type": media_type, **_MINIMAL}
        if self.gzip:
            headers["Content-Encoding"] = "gzip"
        made = [gzip.compress(body, mtime=0) if self.gzip else body for body in self._bodies(self.lines)]
        paths = [f"/v1/{_numbered(self.route, number)}" for number in range(self.routes)]
        turns = max(len(made), len(paths))
        pairs = islice(zip(cycle(paths), cycle(made), strict=False), turns)
        return bodies.framed([bodies.request(path, headers, body) for path, body in pairs])

    def naive(self) -> bytes:
        """Requests to the naive service."""
        path = "/event" if self.events == 1 else "/batch"
        headers = {"Content-Type": "application/json"}
        return bodies.framed([bodies.request(path, headers, body) for body in self._bodies(False)])

    def _bodies(self, lines: bool) -> list[bytes]:
        made = []
        for first in range(0, max(KINDS, self.events), self.events):
            events = [bodies.event(number, self.size) for number in range(first, first + self.events)]
            made.append(events[0] if self.events == 1 else bodies.lines(events) if lines else bodies.array(events))
        return made

    def configuration(self, bootstrap: str, endpoint: str) -> dict[str, Any]:
        """Our service's configuration, but for the schema's file."""
        places: dict[str, dict[str, Any]] = {
            "kafka": {"brokers": bootstrap, "topic": "orders"},
            # the destination has no bounds, so that what is measured is ours
            "kinesis": {"stream": "orders", "shard_events_per_second": 0, "shard_bytes_per_second": 0},
            "firehose": {"delivery_stream": "orders"},
            "sqs": {"queue": "orders"},
            TAKER: {"type": "bench.taker:Taker"},
        }
        sinks = {
            _numbered(name, number): {"type": name, **places[name], **self.settings.get(name, {})}
            for name in self.to
            for number in range(self.sinks)
        }
        routes: dict[str, dict[str, Any]] = {
            _numbered(self.route, number): {"to": [_numbered(name, number % self.sinks) for name in self.to]}
            for number in range(self.routes)
        }
        if not self.lines:
            for route in routes.values():
                route["key"] = "ce:subject"
        if self.ack == "stored":
            sinks["dead"] = {"type": "memory"}
            for route in routes.values():
                route |= {"ack": "stored", "dead_letter": "dead"}
        return {
            "server": {"port": 0, "deregister_delay": 0, **self.server},
            "admin": {"port": 0},
            "aws": {"region": "us-east-1", "endpoint_url": endpoint},
            "sinks": sinks,
            "routes": routes,
        }


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


MANY: Final = 100
_PACKED: Final = 96
"""Connections where a record waits 100 ms to fill: with a hundred events a request, for 96,000 events a second."""
_UNPACKED: Final = 16

ROWS: Final = (
    Row("kafka", "1 a request -> Kafka", ("kafka",), goal=10),
    Row("kafka_asgi", "1 a request, `short_way: false` -> Kafka", ("kafka",), server={"short_way": False}),
    Row("kafka_schema", "1 a request, JSON Schema -> Kafka", ("kafka",), schema=True, goal=8),
    Row("kinesis", "1 a request -> Kinesis", ("kinesis",), goal=30),
    Row(
        "batch_kafka",
        "100 a request, envelope, schema -> Kafka",
        ("kafka",),
        MANY,
        schema=True,
        connections=16,
        goal=10,
    ),
    Row(
        "batch_kinesis",
        "100 a request, envelope, schema -> Kinesis",
        ("kinesis",),
        MANY,
        schema=True,
        connections=16,
        goal=11,
    ),
    Row("lines_kafka", "100 a request, lines -> Kafka", ("kafka",), MANY, lines=True, connections=16, goal=19),
    Row("large_kafka", "500 a request, envelope, schema -> Kafka", ("kafka",), 500, schema=True, connections=8),
    Row("gzip_kafka", "100 a request, gzip, schema -> Kafka", ("kafka",), MANY, schema=True, gzip=True, connections=16),
    Row(
        "firehose",
        "100 a request, schema -> Firehose, packed",
        ("firehose",),
        MANY,
        schema=True,
        connections=_PACKED,
        naive_connections=_UNPACKED,
    ),
    Row("sqs", "100 a request, schema -> SQS", ("sqs",), MANY, schema=True, connections=16),
    Row(
        "kpl",
        "100 a request, schema -> Kinesis, aggregated",
        ("kinesis",),
        MANY,
        schema=True,
        connections=_PACKED,
        naive_connections=_UNPACKED,
        settings={"kinesis": {"aggregate": "kpl"}},
    ),
    Row(
        "all",
        "100 a request, schema -> all four",
        ("kafka", "kinesis", "firehose", "sqs"),
        MANY,
        schema=True,
        connections=_PACKED,
        naive_connections=_UNPACKED,
    ),
)
