"""Moments of a service with two lanes, as tests of the console make them: counters that grow, and gauges."""

from collections import Counter
from typing import Any

from msgspec.structs import replace

from service.admin.moment import Moment, moment
from service.admin.topology import Destination, Kind, Origin, Stream, Topology, Way
from service.config.settings import RouteConfig
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import LaneTimes, Meter
from service.telemetry.snapshot import Snapshot

EPOCH = 1_000_000.0
LANE = LaneGauges("lake", 0, 1000, 0, 4, 0, 500, 0.01, 0.0, "closed")
TOPOLOGY = Topology(
    sources=[Origin("http", "http", ["orders"]), Origin("incoming", "kafka", ["orders"])],
    routes=[Stream("orders", "delivered", [Way("lake", Kind.REQUIRED), Way("dead", Kind.DEAD_LETTER)])],
    destinations=[Destination("lake", "firehose", "deliveries"), Destination("dead", "sqs", "letters")],
)


ROUTES = {"orders": RouteConfig.model_validate({"to": ["lake"], "dead_letter": "dead"})}


class Past:
    """A service as time goes by: count in `meter`, change `lanes`, then take a `moment`."""

    def __init__(self) -> None:
        self.meter = Meter(lanes={"lake": LaneTimes(), "dead": LaneTimes()})
        self.lanes = {"lake": LANE, "dead": replace(LANE, sink="dead")}
        self.more: dict[str, Any] = {}
        self.bills: dict[str, dict[str, int]] = {}

    def gauge(self, sink: str, **values: Any) -> None:
        """Change what a lane is like."""
        self.lanes[sink] = replace(self.lanes[sink], **values)

    def deliver(self, count: int, sink: str = "lake") -> None:
        """Events come, and are delivered."""
        self.meter.edge_received["http", "orders"] += count
        self.meter.lane_received[sink, "orders"] += count
        self.meter.lane_settled[sink, "orders", "delivered", ""] += count

    def moment(self, at: float) -> Moment:
        """That of `at` seconds."""
        found = Snapshot("serving", self.meter, list(self.lanes.values()), self.bills, [], **self.more)
        return moment(found, at, EPOCH + at)

    def retry(self, reason: str, count: int, sink: str = "lake") -> None:
        """Events fail an attempt."""
        self.meter.lane_retries.update(Counter({(sink, reason): count}))
