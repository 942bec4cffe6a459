"""What grows, through which sizes, and what is held equal meanwhile.

Load comes in open loop at a fixed rate, well below what a core can do: in a closed loop more connections would mean
larger batches, and the cost of an event would fall for a reason that is none of the service's.
"""

from typing import Final

from msgspec import Struct

from bench.rows import MANY, Row

RATE: Final = 1000.0
"""Requests a second with one event each."""
MANY_RATE: Final = 80.0
"""Requests a second with MANY events each."""
CONNECTIONS: Final = 64
MINUTES: Final = Row("minutes", "1 a request -> Kafka", ("kafka",), connections=CONNECTIONS)


class Axis(Struct, frozen=True):
    """One thing that grows."""

    name: str
    title: str
    """Of the plot and the table: what grows."""
    equal: str
    """What is the same at all sizes."""
    rate: float
    """Requests a second."""
    sizes: tuple[tuple[int, Row], ...]
    """From the smallest on: the size, and the work at this size."""


def _one(connections: int = CONNECTIONS, routes: int = 1) -> Row:
    return Row("growth", "1 a request -> Kafka", ("kafka",), connections=connections, routes=routes)


def _many(destination: str, count: int) -> Row:
    title = f"100 a request -> {destination}"
    return Row("growth", title, (destination,), MANY, connections=16, routes=count, sinks=count)


_SINKS: Final = (
    f"{MANY_RATE:g} requests a second of {MANY} events; as many routes as sinks, each event goes to one: a call each"
)

AXES: Final = (
    Axis(
        "connections",
        "connections",
        f"{RATE:,.0f} requests a second of one event to one Kafka topic; every connection is used",
        RATE,
        tuple((count, _one(count)) for count in (10, 100, 1000, 5000)),
    ),
    Axis(
        "routes",
        "routes",
        f"{RATE:,.0f} requests a second of one event over {CONNECTIONS} connections; all routes to one Kafka sink",
        RATE,
        tuple((count, _one(routes=count)) for count in (1, 10, 100)),
    ),
    Axis("sinks_kafka", "sinks of Kafka", _SINKS, MANY_RATE, tuple((n, _many("kafka", n)) for n in (1, 5, 20))),
    Axis("sinks_kinesis", "sinks of Kinesis", _SINKS, MANY_RATE, tuple((n, _many("kinesis", n)) for n in (1, 5, 20))),
)
