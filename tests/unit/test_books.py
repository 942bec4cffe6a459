"""The books as one scrape shows them: what is not accounted for is named, and nothing else."""

import pytest

from deploy.local.books import astray, samples

LANE = """
penstock_lane_events_received_total{sink="lake",route="orders"} 10
penstock_lane_events_settled_total{sink="lake",route="orders",outcome="delivered",reason=""} 6
penstock_lane_events_settled_total{sink="lake",route="orders",outcome="expired",reason="shutdown"} 1
penstock_lane_events_held{sink="lake",route="orders"} 3
penstock_lane_events_received_total{sink="pond",route="orders"} 0
"""
STORED = """
penstock_events_received_total{source="http",route="kept"} 9
penstock_events_received_total{source="msk",route="kept"} 1
penstock_events_rejected_total{source="http",route="kept",reason="busy"} 2
penstock_journal_events_stored_total{route="kept"} 5
penstock_journal_events_failed_total{route="kept"} 2
penstock_journal_events_queued{route="kept"} 1
penstock_events_received_total{source="http",route="orders"} 77
"""


def test_books_that_balance_leave_nothing() -> None:
    assert astray(samples(LANE + STORED)) == {}


@pytest.mark.parametrize(
    ("line", "changed", "where", "events"),
    [
        ('route="orders"} 10', 'route="orders"} 11', ("lake", "orders"), 1),
        ('reason=""} 6', 'reason=""} 8', ("lake", "orders"), -2),
        ('held{sink="lake",route="orders"} 3', 'held{sink="lake",route="orders"} 0', ("lake", "orders"), 3),
        ('route="kept"} 9', 'route="kept"} 12', ("kept",), 3),
        ('reason="busy"} 2', 'reason="busy"} 3', ("kept",), -1),
        ('stored_total{route="kept"} 5', 'stored_total{route="kept"} 4', ("kept",), 1),
        ('queued{route="kept"} 1', 'queued{route="kept"} 2', ("kept",), -1),
    ],
)
def test_what_is_not_accounted_for_is_named(line: str, changed: str, where: tuple[str, ...], events: int) -> None:
    text = LANE + STORED
    assert text.count(line) == 1
    assert astray(samples(text.replace(line, changed))) == {where: events}
