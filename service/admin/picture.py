"""What the service is like now, as the console shows it: plain values, all of them. No payload is ever in it."""

from typing import Any

from msgspec import Struct

from service.admin.ends import End
from service.telemetry.conservation import Off


class Source(Struct):
    """Where events come from."""

    name: str
    type: str
    received: float
    refused: float
    """Before any lane took them."""
    trouble: str | None
    lag: int | None
    """Messages that are there and not acknowledged; None where that is never known."""
    waiting: int
    """Messages without room in the lanes."""
    unsettled: int


class Inflow(Struct):
    """From a source to a route."""

    source: str
    route: str
    received: float
    refused: float


class Route(Struct):
    """A named stream of events."""

    name: str
    ack: str
    received: float
    refused: float


class Outflow(Struct):
    """From a route to a lane."""

    route: str
    sink: str
    kind: str
    received: float
    dead_lettered: float


class Lane(Struct):
    """One lane, and the destination behind it."""

    name: str
    type: str
    target: str
    state: str
    since: float
    """Seconds since the epoch."""
    reasons: list[str]
    breaker: str
    fallback: str | None
    received: float
    delivered: float
    dead_lettered: float
    given_up: float
    """Rejected, expired, dropped."""
    retried: float
    success: float | None
    """Share of the events tried that were delivered; None if none was tried."""
    p50_seconds: float | None
    """From an event's coming into the lane to the end of the call that delivered it."""
    p99_seconds: float | None
    held_events: int
    held_bytes: int
    capacity_bytes: int
    oldest_seconds: float
    calls: int
    calls_limit: int
    billed: dict[str, float]
    """Units per second, by the name of their counter."""


class Waiting(Struct):
    """Stored events that are not settled at one sink."""

    sink: str
    route: str
    events: int


class Journal(Struct):
    """What is stored."""

    stored: float
    """Events per second, those that could not be among them."""
    used_bytes: int
    max_bytes: int
    free_bytes: int
    oldest_seconds: float
    waiting: list[Waiting]
    trouble: str | None


class Total(Struct):
    """Everything together."""

    received: float
    refused: float
    delivered: float
    """In all lanes: an event that goes to three destinations is delivered three times."""
    retried: float
    dead_lettered: float
    held_events: int


class Picture(Struct):
    """The service now."""

    at: float
    phase: str
    total: Total
    sources: list[Source]
    inflows: list[Inflow]
    routes: list[Route]
    outflows: list[Outflow]
    lanes: list[Lane]
    journal: Journal | None
    """None where no route stores."""
    off: list[Off]
    """Empty where all books balance."""
    last: list[End]
    troubles: list[dict[str, Any]]
    """As `/status` has them."""
    workers: list[dict[str, Any]]
