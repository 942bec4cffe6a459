"""The ingest endpoint: what a body takes while it is read, and whose turn it is."""

import pytest

from service.auth.principal import ANYBODY, Grant
from service.config.settings import ServerConfig
from service.delivery.entry import Terms
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.delivery.route import Leg, Route
from service.errors import Busy
from service.http.ingest import LARGE_BYTES, Ingest, is_large
from service.http.reading import Request
from service.sinks.memory import Memory
from service.telemetry.meter import Meter

SMALL = b"[" + b",".join([b"1"] * 9_000) + b"]"
"""A short body of many events, each of which is refused."""


@pytest.mark.parametrize(
    ("body", "large"),
    [
        (b'{"a":' + b"1" * 40_000 + b"}", False),
        (b"x" * LARGE_BYTES, True),
        (SMALL, True),
        (b"{}\n" * 600, True),
        (b"[" + b"{}," * 400 + b"{}]", True),
        (b"[" + b"{}," * 100 + b"{}]", False),
    ],
)
def test_a_body_is_large_by_its_bytes_or_by_its_events(body: bytes, large: bool) -> None:
    assert is_large(body) is large


async def test_what_is_read_is_charged_while_it_is_read() -> None:
    meter = Meter()
    config = Memory.Config(type="memory")
    lane = Lane("memory", Memory("memory", config), config, meter)
    route = Route("orders", (Leg(lane, Terms("orders", required=True, patient=False), "auto"),))
    ingest = Ingest(Pipeline({"orders": route}, {"memory": lane}), ServerConfig(), meter)
    asked: list[int] = []

    def demand(size: int) -> None:
        asked.append(size)
        if size > 10**6:
            raise Busy("no memory", 1.0)

    head = ingest.head("orders", {"content-type": "application/json"}, Grant(ANYBODY))
    with pytest.raises(Busy):
        for _ in ingest.take(Request(head, SMALL, "id", demand=demand)):
            pass
    # it ended at the first look above what there is, long before its 9,000 events were read
    assert 10**6 < asked[-1] < 2 * 10**6
    assert asked == sorted(asked)
    assert lane.held_events == 0
