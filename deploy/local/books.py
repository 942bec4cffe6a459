"""The books of a service, read from one scrape of `/metrics` and nothing else: in any one snapshot they balance."""

import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

_LANES: Final = {
    "penstock_lane_events_received_total": 1,
    "penstock_lane_events_settled_total": -1,
    "penstock_lane_events_held": -1,
}
_EDGE: Final = {"penstock_events_received_total": 1, "penstock_events_rejected_total": -1}
_STORED: Final = (
    "penstock_journal_events_stored_total",
    "penstock_journal_events_failed_total",
    "penstock_journal_events_queued",
)


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


def scraped(admin: str) -> list[Sample]:
    """Those of the admin port at this URL, now. Raises OSError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{admin}/metrics", timeout=30) as page:
        return samples(page.read().decode())


def astray(found: Iterable[Sample]) -> dict[tuple[str, ...], float]:
    """Events that are not accounted for, where there are any: none is as it should be.

    Per (sink, route): received less settled and held. Per (route,) that stores: received at the edge less rejected,
    stored, failed and queued.
    """
    found = list(found)
    stores = {sample.labels["route"] for sample in found if sample.name in _STORED}
    sums: dict[tuple[str, ...], float] = defaultdict(float)
    for sample in found:
        if (sign := _LANES.get(sample.name)) is not None:
            sums[sample.labels["sink"], sample.labels["route"]] += sign * sample.value
        sign = -1 if sample.name in _STORED else _EDGE.get(sample.name)
        if sign is not None and sample.labels["route"] in stores:
            sums[sample.labels["route"],] += sign * sample.value
    return {where: events for where, events in sums.items() if events}
