"""The conservation of events, read from the text of /metrics (design: in any one snapshot the books balance)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families


class Sample(Struct, frozen=True):
    """One line of an exposition."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(text: str) -> list[Sample]:
    """All samples in a Prometheus text."""
    return [
        Sample(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def total(found: Iterable[Sample], name: str, **labels: str) -> float:
    """The sum of the samples of that name with at least these labels."""
    return sum(
        sample.value for sample in found if sample.name == name and labels.items() <= dict(sample.labels).items()
    )


def assert_conserved(found: list[Sample]) -> None:
    """As `assert_balanced`, of a service that has taken something."""
    assert any(sample.name == "penstock_lane_events_received_total" for sample in found), "no lane has taken anything"
    assert_balanced(found)


def assert_balanced(found: list[Sample]) -> None:
    """Per lane and route: received = settled + held. At the edge, per route that stores: received = rejected + stored +
    failed + queued."""
    lanes: dict[tuple[str, str], float] = defaultdict(float)
    for sample in found:
        sign = {
            "penstock_lane_events_received_total": 1,
            "penstock_lane_events_settled_total": -1,
            "penstock_lane_events_held": -1,
        }.get(sample.name)
        if sign is not None:
            lanes[sample.labels["sink"], sample.labels["route"]] += sign * sample.value
    assert not {lane: off for lane, off in lanes.items() if off}, "received is not settled + held"
    edge: dict[str, float] = defaultdict(float)
    stores = {sample.labels["route"] for sample in found if sample.name in _STORED}
    for sample in found:
        sign = {"penstock_events_received_total": 1, "penstock_events_rejected_total": -1}.get(sample.name, 0)
        sign = -1 if sample.name in _STORED else sign
        if sign and sample.labels["route"] in stores:
            edge[sample.labels["route"]] += sign * sample.value
    assert not {route: off for route, off in edge.items() if off}, "received is not rejected + stored + failed + queued"


_STORED = (
    "penstock_journal_events_stored_total",
    "penstock_journal_events_failed_total",
    "penstock_journal_events_queued",
)
