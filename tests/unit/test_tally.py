"""The tally of a flow."""

from service.receiving.tally import Tally


def test_a_message_is_settled_with_the_last_thing_that_it_waits_for() -> None:
    tally = Tally()
    tally.expect(0, 2)
    tally.expect(1)
    assert tally.count([0]) == []
    assert tally.count([1, 0]) == [1, 0]
    assert (tally.settled, tally.under_way, tally.settled_before(2)) == (2, 0, 2)


def test_a_message_of_which_something_failed_is_never_settled() -> None:
    tally = Tally()
    tally.expect(0, 2)
    tally.expect(1)
    assert tally.fail(0)
    assert not tally.fail(0)
    assert tally.under_way == 1
    assert tally.count([0, 0, 1]) == [1]
    assert (tally.settled, tally.settled_before(2)) == (1, 0)


def test_a_message_may_be_named_as_often_as_it_has_events_in_a_batch() -> None:
    tally = Tally()
    tally.expect(5, 3)
    assert tally.count([5, 5, 5]) == [5]
