"""What waits of several senders: each one's in its order, the senders in turns."""

from collections import deque
from math import inf
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from service.delivery.entry import Entry, Terms
from service.delivery.senders import Senders

WAITS = Terms("orders", required=True, patient=False)
PATIENT = Terms("orders", required=True, patient=True)
NAMES = st.sampled_from(["a", "b", "c", "d"])


def entry(sender: str, number: int, terms: Terms = WAITS) -> Entry:
    """The `number`-th entry, due as many seconds after the beginning."""
    event = SimpleNamespace(origin=SimpleNamespace(sender=sender))
    made = Entry(event, event, 1, 1, terms, "lane")  # type: ignore[arg-type]  # no more of it is looked at
    made.sequence, made.queued_at = number, float(number)
    made.deadline = inf if terms.patient else float(number)
    return made


def waiting(*senders: str) -> Senders:
    made = Senders()
    for number, sender in enumerate(senders):
        made.append(entry(sender, number))
    return made


def popped(senders: Senders) -> list[tuple[str, int]]:
    """All that waits, in the order in which it leaves."""
    found = []
    while (first := senders.first()) is not None:
        assert senders.pop() is first
        found.append((first.event.origin.sender, first.sequence))
    return found


def test_an_event_waits_for_one_of_each_other_sender_and_not_for_all_that_came_before() -> None:
    assert popped(waiting(*"aaaab")) == [("a", 0), ("b", 4), ("a", 1), ("a", 2), ("a", 3)]


def test_what_nobody_waits_for_is_one_senders_among_the_others() -> None:
    senders = waiting("a", "a")
    for number in range(2, 6):
        senders.append(entry(f"s{number}", number, PATIENT))
    assert [number for _, number in popped(senders)] == [0, 2, 1, 3, 4, 5]


@given(st.lists(st.one_of(NAMES, NAMES, st.sampled_from(["pop", "pop", "pop", "overdue", "give"])), max_size=60))
def test_nothing_is_lost_each_sender_keeps_its_order_and_none_waits_for_two_turns_of_another(steps: list[str]) -> None:
    senders = Senders()
    lines: dict[str, deque[int]] = {}
    turns: list[str] = []
    came: dict[str, int] = {}
    """How many turns there had been when a sender had something to wait again, or had its own last."""
    for number, step in enumerate(steps):
        if step == "give":
            given: list[Entry] = []
            senders.give(given)
            for name, line in lines.items():
                assert [each.sequence for each in given if each.event.origin.sender == name] == list(line)
            assert len(given) == sum(map(len, lines.values()))
            lines, turns = {}, []
        elif step == "overdue":
            latest = number / 2
            for each in senders.overdue(latest):
                assert lines[each.event.origin.sender].popleft() == each.sequence
            assert all(line[0] >= latest for line in lines.values() if line)
        elif step == "pop":
            if (first := senders.first()) is None:
                assert not any(lines.values())
                continue
            name = first.event.origin.sender
            assert senders.pop() is first
            assert lines[name].popleft() == first.sequence
            since = turns[came[name] :]
            assert len(since) == len(set(since)), "another one has had two"
            turns.append(name)
            came[name] = len(turns)
        else:
            senders.append(entry(step, number))
            line = lines.setdefault(step, deque())
            if not line:
                came[step] = len(turns)
            line.append(number)
        assert len(senders) == len(list(senders)) == sum(map(len, lines.values()))
        oldest = min((line[0] for line in lines.values() if line), default=inf)
        assert senders.oldest() == senders.next_deadline() == oldest
