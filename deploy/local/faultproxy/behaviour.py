"""How a target (a stream, a delivery stream or a queue) behaves: what it is told, and what that means for each call."""

import random
from collections import deque
from enum import StrEnum

from msgspec import Struct


class Fault(StrEnum):
    """What can go wrong with a whole call."""

    NONE = "none"
    THROTTLED = "throttled"
    """400, the service says slow down; nothing is taken. As the next three."""
    FAILED = "failed"
    """500, the service failed inside."""
    UNAVAILABLE = "unavailable"
    """503."""
    RESET = "reset"
    """The connection breaks once the request was read; nothing is taken."""
    RESET_ANSWER = "reset_answer"
    """All is taken; the connection breaks in the middle of the answer. The rest take all, too."""
    LATE = "late"
    """The answer comes when the client has given up (`late` seconds)."""
    GARBAGE = "garbage"
    """200 with a page of HTML."""
    HALF = "half"
    """200 with half of the JSON, and a Content-Length that agrees."""
    MISCOUNTED = "miscounted"
    """200 with one result too few."""


class Behaviour(Struct, forbid_unknown_fields=True, frozen=True):
    """What a target does from now on. Times in seconds, shares between 0 and 1."""

    dead: bool = False
    """Breaks every connection that brings a call."""
    delay: float = 0.0
    """How long a call takes."""
    servers: int = 0
    """How many calls are served at once, the others waiting in line; 0 for all."""
    late: float = 30.0
    shards: int = 1
    """Of a stream: ranges of hash keys of equal width. Without an emulator ListShards tells them."""
    records_per_second: float = 0.0
    """What each shard takes; 0 for no bound. Kinesis: 1,000."""
    bytes_per_second: float = 0.0
    """The same in data and partition keys. Kinesis: 1 MB."""
    record_failures: float = 0.0
    """Share of records that fail by chance."""
    failing: tuple[int, ...] = ()
    """Positions in each call whose records fail."""
    refused: tuple[int, ...] = ()
    """Events, by number, that are never taken."""
    record_code: str = ""
    """Code of records that fail so; empty for the service's own word for a failure inside."""
    shares: dict[Fault, float] = {}
    """Share of calls with a fault."""
    script: tuple[Fault, ...] = ()
    """The next calls' faults, in the order of arrival, before chance decides."""


class Script:
    """The decisions of one target: the same for the same seed, behaviours and order of calls."""

    def __init__(self, seed: str) -> None:
        self._rng = random.Random(seed)
        self._coming: deque[Fault] = deque()
        self._behaviour = Behaviour()

    def follow(self, behaviour: Behaviour) -> None:
        """Decide by `behaviour` from now on."""
        self._behaviour = behaviour
        self._coming = deque(behaviour.script)

    def fault(self) -> Fault:
        """What goes wrong with the next call."""
        if self._coming:
            return self._coming.popleft()
        shares = self._behaviour.shares
        if not shares:
            return Fault.NONE
        drawn = self._rng.random()
        for fault, share in shares.items():
            drawn -= share
            if drawn < 0:
                return fault
        return Fault.NONE

    def failing(self, records: int) -> frozenset[int]:
        """Positions of the records of the next call that fail."""
        behaviour, draw = self._behaviour, self._rng.random
        chance = behaviour.record_failures
        drawn = (index for index in range(records) if draw() < chance) if chance else ()
        return frozenset(drawn) | frozenset(index for index in behaviour.failing if index < records)
