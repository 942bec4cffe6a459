"""The quickstart's ledger: a table that says "agrees" only when every event is where its answer says."""

import pytest

from examples.quickstart.ledger import REQUIRED, Destination, Fate, Ledger
from examples.quickstart.replay import fates

DELIVERED = dict.fromkeys(REQUIRED, Fate.DELIVERED)


def delivered_everywhere() -> Ledger:
    """Two events, answered as delivered and found wherever they must be."""
    ledger = Ledger()
    ledger.sent(["a", "b"])
    for id in ("a", "b"):
        ledger.answered(id, DELIVERED)
        for destination in REQUIRED:
            ledger.found(destination, id)
    return ledger


def test_it_agrees_when_all_is_found_where_it_was_delivered() -> None:
    ledger = delivered_everywhere()
    assert ledger.agrees
    queue = ledger.account(Destination.QUEUE)
    assert (queue.sent, queue.delivered, queue.found, queue.missing) == (2, 2, 2, 0)


def test_a_duplicate_is_counted_and_allowed() -> None:
    ledger = delivered_everywhere()
    ledger.found(Destination.TOPIC, "a")
    assert ledger.account(Destination.TOPIC).duplicates == 1
    assert ledger.account(Destination.TOPIC).found == 2
    assert ledger.agrees


def test_an_event_answered_as_delivered_and_not_found_is_missing() -> None:
    ledger = delivered_everywhere()
    ledger.sent(["c"])
    ledger.answered("c", DELIVERED)
    for destination in REQUIRED[1:]:
        ledger.found(destination, "c")
    assert ledger.account(REQUIRED[0]).missing == 1
    assert not ledger.agrees


def test_an_unanswered_event_does_not_agree() -> None:
    ledger = delivered_everywhere()
    ledger.sent(["c"])
    assert not ledger.agrees


def test_an_event_that_was_given_up_does_not_agree() -> None:
    ledger = delivered_everywhere()
    ledger.sent(["c"])
    ledger.answered("c", dict.fromkeys(REQUIRED, Fate.FAILED))
    assert not ledger.agrees


def test_a_refused_event_must_be_among_the_dead_letters_and_nowhere_else() -> None:
    ledger = delivered_everywhere()
    ledger.sent(["c"])
    ledger.answered("c", fates({"status": "invalid", "retryable": False, "error": {"dead_lettered": True}}))
    assert ledger.account(Destination.DEAD).missing == 1
    ledger.found(Destination.DEAD, "c")
    assert ledger.agrees
    ledger.found(Destination.LAKE, "c")
    assert ledger.account(Destination.LAKE).surplus == 1
    assert not ledger.agrees


def test_a_refused_event_without_a_dead_letter_does_not_agree() -> None:
    ledger = delivered_everywhere()
    ledger.sent(["c"])
    ledger.answered("c", fates({"status": "invalid", "retryable": False, "error": {}}))
    assert not ledger.agrees


def test_an_event_rejected_by_one_sink_only_must_be_at_the_others() -> None:
    ledger = Ledger()
    ledger.sent(["a"])
    sinks = {"stream": "delivered", "lake": "delivered", "queue": "rejected", "topic": "delivered"}
    ledger.answered("a", fates({"status": "rejected", "sinks": sinks, "error": {"dead_lettered": True}}))
    for destination in (Destination.STREAM, Destination.LAKE, Destination.TOPIC, Destination.DEAD):
        ledger.found(destination, "a")
    assert ledger.agrees
    assert ledger.account(Destination.QUEUE).rejected == 1


def test_an_event_that_was_never_sent_does_not_agree() -> None:
    ledger = delivered_everywhere()
    ledger.found(Destination.STREAM, "stranger")
    assert ledger.strangers == {(Destination.STREAM, "stranger"): 1}
    assert not ledger.agrees


def test_one_id_for_two_events_is_refused() -> None:
    with pytest.raises(ValueError, match="two events have the id 'a'"):
        Ledger().sent(["a", "a"])
