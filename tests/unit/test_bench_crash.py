"""The account of a crash finds each kind of wrong: what is lost, what was refused, what is needless, what overtakes."""

from array import array

from bench.crash.account import Account, account, known
from bench.crash.lives import Life
from bench.crash.producing import Round
from deploy.local.faultproxy.ledger import Take

LIVES = [Life(began=0.0, killed=10.0), Life(began=11.0, killed=20.0), Life(began=21.0)]
ROUNDS = {0: [Round(0, sent, sent + 0.5) for sent in (1.0, 2.0, 3.0, 4.0)]}
"""The last commit window of the first life is that from 2.0 on."""
KEYS = dict.fromkeys(range(10), "k")


def take(moment: float, *events: int, answered: float | None = None) -> Take:
    return Take(array("I", events), moment, moment if answered is None else answered)


def of(*takes: Take, stored: tuple[int, ...] = (1,), invalid: tuple[int, ...] = (9,)) -> Account:
    return account(takes, LIVES, ROUNDS, stored, invalid, KEYS)


def test_a_life_in_which_all_goes_well_has_nothing_to_tell() -> None:
    found = of(take(1.0, 1, 2), take(12.0, 3), stored=(1, 2, 3))
    assert (found.arrived, found.missing, found.refused, found.needless, found.out_of_order) == (3, [], [], [], [])
    assert found.over == []


def test_what_was_acknowledged_and_is_not_there_is_missing() -> None:
    assert of(take(1.0, 1), stored=(1, 2)).missing == [2]


def test_what_was_refused_and_is_there_is_told() -> None:
    assert of(take(1.0, 1, 9)).refused == [9]


def test_what_was_answered_in_the_last_commit_window_may_be_sent_again() -> None:
    found = of(take(2.5, 1, 2), take(12.0, 1))
    assert found.needless == []
    [first, second] = found.again
    assert (first.events, first.open, first.settling, first.bound, first.window) == (1, 0, 2, 2, 8.0)
    assert second.events == 0


def test_what_was_answered_before_it_may_not() -> None:
    found = of(take(1.5, 1), take(12.0, 1))
    assert found.needless == [1]
    assert [(each.life, each.events, each.bound) for each in found.over] == [(0, 1, 0)]


def test_what_was_taken_and_not_answered_is_open_however_long_ago_that_was() -> None:
    for answered in (0.0, 10.1):
        found = of(take(1.5, 1, answered=answered), take(12.0, 1))
        assert found.needless == []
        assert (found.again[0].events, found.again[0].open) == (1, 1)


def test_twice_in_one_life_is_needless() -> None:
    assert of(take(12.0, 1), take(13.0, 1)).needless == [1]


def test_a_third_time_counts_for_the_life_before_it() -> None:
    found = of(take(9.0, 1, answered=0.0), take(19.0, 1, answered=0.0), take(22.0, 1))
    assert [each.events for each in found.again] == [1, 1]
    assert found.needless == []


def test_first_arrivals_are_in_the_order_of_their_key_and_later_ones_need_not_be() -> None:
    assert of(take(1.0, 1, 3, 2)).out_of_order == [2]
    assert of(take(9.0, 1, 2), take(12.0, 1, 3)).out_of_order == []


def test_of_a_life_that_acknowledged_too_little_nothing_is_known() -> None:
    assert known({0: ROUNDS[0][:2]}, 0, LIVES[0]) == 0.0
    assert known({0: ROUNDS[0][:3]}, 0, LIVES[0]) == 1.0
    assert known({0: ROUNDS[0], 1: [Round(0, 5.0, 11.0)]}, 0, LIVES[0]) == 2.0, "an answer that came after the kill"
