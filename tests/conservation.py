"""The conservation of events, asserted of one scrape (design: in any one snapshot the books balance)."""

from collections.abc import Iterable

from deploy.local.books import Sample, astray, samples

__all__ = ["Sample", "assert_balanced", "assert_conserved", "samples", "total"]


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
    """Nothing is unaccounted for."""
    assert astray(found) == {}
