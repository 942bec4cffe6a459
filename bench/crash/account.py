"""What was promised beside what has arrived at one destination, and what was sent again after each kill.

The bound of what may be sent again after a kill: what the destination had taken and not answered then (open), and what
it had answered within the last commit window. How long that was, the producers know, without any clock of the disk's:
a commit takes along whatever was settled when it began, so what was answered before a request was sent is settled on
the disk once that request is acknowledged. One request's time is for what is on its way through the process.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec import Struct

from bench.crash.lives import Life
from bench.crash.producing import Round
from deploy.local.faultproxy.ledger import Take

ON_ITS_WAY: Final = 2
"""Requests of a producer, sent one after the other, in whose time an answer becomes a settlement for the writer."""


class Again(Struct):
    """What was sent again because of one kill."""

    life: int
    events: int = 0
    open: int = 0
    """Events that the destination had taken and not answered: the first part of the bound."""
    settling: int = 0
    """Events that it had answered in the last commit window: the second."""
    window: float = 0.0
    """How long that was, in seconds."""

    @property
    def bound(self) -> int:
        """Most events that may be sent again."""
        return self.open + self.settling


class Account(Struct):
    """Of one destination."""

    arrived: int
    missing: list[int]
    """Acknowledged, and not there."""
    refused: list[int]
    """Refused as invalid, and there."""
    again: list[Again]
    """By kill."""
    needless: list[int]
    """Sent again though it was settled on the disk, or within one life."""
    out_of_order: list[int]
    """Arrived first after a later event of its key."""

    @property
    def over(self) -> list[Again]:
        """Kills after which more was sent again than may be."""
        return [each for each in self.again if each.events > each.bound]


def known(rounds: Mapping[int, Sequence[Round]], number: int, life: Life) -> float:
    """What was answered before this moment was settled on the disk when `life` was killed; its beginning if none is
    known."""
    moments = [life.began]
    for each in rounds.values():
        sent = [round.sent for round in each if round.life == number and round.answered < life.killed]
        moments += sent[-1 - ON_ITS_WAY : -ON_ITS_WAY]
    return max(moments)


def account(
    takes: Sequence[Take],
    lives: Sequence[Life],
    rounds: Mapping[int, Sequence[Round]],
    acknowledged: Collection[int],
    invalid: Collection[int],
    key: Mapping[int, str] | None,
) -> Account:
    """The account of a destination with these `takes`. `key`: of each event, where their order is kept."""
    again = [Again(number) for number, life in enumerate(lives) if life.killed]
    settled = [known(rounds, each.life, lives[each.life]) for each in again]
    last: dict[int, tuple[int, Take]] = {}
    highest: dict[str, int] = {}
    needless: list[int] = []
    out_of_order: list[int] = []
    for take in takes:
        number = max(at for at, life in enumerate(lives) if life.began <= take.taken)
        if number < len(again):
            killed = lives[number].killed
            if not 0 < take.answered <= killed:
                again[number].open += len(take.events)
            elif take.answered >= settled[number]:
                again[number].settling += len(take.events)
            again[number].window = killed - settled[number]
        for event in take.events:
            if event in last:
                before, first = last[event]
                if before == number or 0 < first.answered < settled[before]:
                    needless.append(event)
                if before < len(again):
                    again[before].events += 1
            elif key is not None:
                if highest.get(key[event], 0) > event:
                    out_of_order.append(event)
                highest[key[event]] = max(event, highest.get(key[event], 0))
            last[event] = number, take
    return Account(
        arrived=len(last),
        missing=sorted(set(acknowledged) - last.keys()),
        refused=sorted(set(invalid) & last.keys()),
        again=again,
        needless=needless,
        out_of_order=out_of_order,
    )
