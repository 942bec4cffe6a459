"""The ledger: what was sent, what the gateway answered, and what was found at each destination, per event."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import assert_never


class Destination(StrEnum):
    """The sinks of penstock.yaml, by their names there."""

    STREAM = "stream"
    LAKE = "lake"
    QUEUE = "queue"
    TOPIC = "topic"
    DEAD = "dead"


REQUIRED = (Destination.STREAM, Destination.LAKE, Destination.QUEUE, Destination.TOPIC)
"""Where every valid event must arrive."""


class Fate(IntEnum):
    """What the gateway's answers say of one event at one destination."""

    UNANSWERED = 0
    DELIVERED = 1
    REJECTED = 2
    FAILED = 3


@dataclass(frozen=True)
class Account:
    """One destination's line: all in events."""

    destination: Destination
    sent: int
    delivered: int
    rejected: int
    found: int
    """Different events found."""
    missing: int
    """Answered as delivered, and not found."""
    surplus: int
    """Found, and not answered as delivered."""
    duplicates: int
    """Found more than once, each further time counted: at-least-once delivery allows it."""

    @property
    def agrees(self) -> bool:
        """Whether every event is accounted for, and is where its answer says."""
        return self.sent == self.delivered + self.rejected and not self.missing and not self.surplus


class Ledger:
    """Accounts for each event by its id, at every destination."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._fates: dict[Destination, list[Fate]] = {destination: [] for destination in Destination}
        self._found: dict[Destination, list[int]] = {destination: [] for destination in Destination}
        self.strangers: Counter[tuple[Destination, str]] = Counter()
        """What was found, but not sent from here."""
        self.sent_again = 0
        self._delivered: Counter[Destination] = Counter()
        self._read: Counter[Destination] = Counter()

    def __len__(self) -> int:
        """Events sent, each counted once."""
        return len(self._rows)

    def sent(self, ids: Iterable[str]) -> None:
        """Enter events, before they are sent for the first time. Raises ValueError if an id was used already."""
        for id in ids:
            if id in self._rows:
                raise ValueError(f"two events have the id {id!r}")
            self._rows[id] = len(self._rows)
            for destination in Destination:
                self._fates[destination].append(Fate.UNANSWERED)
                self._found[destination].append(0)

    def answered(self, id: str, fates: Mapping[Destination, Fate]) -> None:
        """Note the final answer to one event."""
        row = self._rows[id]
        for destination, fate in fates.items():
            self._fates[destination][row] = fate
            self._delivered[destination] += fate is Fate.DELIVERED

    def found(self, destination: Destination, id: str) -> None:
        """Note that an event was read at a destination."""
        self._read[destination] += 1
        row = self._rows.get(id)
        if row is None:
            self.strangers[destination, id] += 1
        else:
            self._found[destination][row] += 1

    @property
    def readings(self) -> int:
        """How often `found` was called."""
        return self._read.total()

    def unread(self, destination: Destination) -> int:
        """About how many delivered events still wait at a destination; less by the duplicates."""
        return self._delivered[destination] - self._read[destination]

    def account(self, destination: Destination) -> Account:
        """The destination's line. Dead letters are those events that the gateway refused."""
        counts: Counter[Fate] = Counter(self._fates[destination])
        missing = surplus = found = duplicates = 0
        for fate, times in zip(self._fates[destination], self._found[destination], strict=True):
            found += times > 0
            duplicates += max(0, times - 1)
            missing += fate is Fate.DELIVERED and not times
            surplus += fate is not Fate.DELIVERED and times > 0
        match destination:
            case Destination.DEAD:
                sent = len(self) - counts[Fate.UNANSWERED]
            case Destination.STREAM | Destination.LAKE | Destination.QUEUE | Destination.TOPIC:
                sent = len(self)
            case _:
                assert_never(destination)
        return Account(
            destination,
            sent,
            counts[Fate.DELIVERED],
            counts[Fate.REJECTED],
            found,
            missing,
            surplus + sum(times for (where, _), times in self.strangers.items() if where is destination),
            duplicates,
        )

    def accounts(self) -> list[Account]:
        """All lines, in the order of penstock.yaml."""
        return [self.account(destination) for destination in Destination]

    @property
    def agrees(self) -> bool:
        """Whether all accounts agree to the event."""
        return all(account.agrees for account in self.accounts())
