"""Shares: how much of something bounded one sender may hold while others want it too.

What nobody else wants, one may have all of. Once others have come lately and more than half is taken, a sender may hold
no more than what is left free: `n` that want all of it then have a part of `n + 1` each, and as much stays free for who
comes next. (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", IEEE/ACM
Transactions on Networking 6(2), 1998, with alpha 1.) Who holds nothing is let in while there is room.
"""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

LATELY_SECONDS: Final = 60.0
"""A sender counts among the others for one to two such spans after it was there, or after it is first asked who was: a
producer is told to wait one at most."""
MOST_SENDERS: Final = 4096
"""Senders that are remembered for a span; with more there are others, whoever they are."""
_NETWORK_BITS: Final = 64
"""Of an IPv6 address: who has one has all that begin so."""


def fair(held: int, more: int, used: int, capacity: int) -> bool:
    """Whether a sender that holds `held` may hold `more` of `capacity`, of which all hold `used`, while others want
    it. While no more than half is used it always may: who asks often looks at that first."""
    return not held or 2 * (used + more) <= capacity or held + more <= capacity - used - more


class Lately:
    """Who was there lately. Times are monotonic, in seconds."""

    __slots__ = ("_before", "_clock", "_now", "_turned")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._now: set[str] = set()
        self._before: set[str] = set()
        self._turned = clock()

    def note(self, sender: str) -> None:
        """The sender is there, or was until now."""
        if sender not in self._now and len(self._now) < MOST_SENDERS:
            self._now.add(sender)

    def others(self, sender: str) -> bool:
        """Whether somebody else was there too."""
        now = self._clock()
        if now - self._turned > LATELY_SECONDS:
            self._before, self._now, self._turned = self._now, set(), now
        return any(len(known) > (sender in known) for known in (self._now, self._before))


class Shares:
    """Who holds how much of one lane's memory."""

    __slots__ = ("_capacity", "_lately", "held")

    def __init__(self, capacity: int, clock: Callable[[], float]) -> None:
        """`capacity` in bytes. `clock` gives monotonic seconds."""
        self.held: dict[str, int] = {}
        """Bytes of each sender that has some."""
        self._capacity = capacity
        self._lately = Lately(clock)

    def add(self, sender: str, size: int) -> None:
        """The sender holds `size` bytes more, or fewer."""
        held = self.held.get(sender, 0) + size
        if held:
            self.held[sender] = held
        else:
            self.held.pop(sender, None)
            self._lately.note(sender)

    def grants(self, sender: str, size: int, used: int) -> bool:
        """Whether `size` bytes more are within the sender's share, `used` being what all hold."""
        held = self.held.get(sender, 0)
        if not held:
            self._lately.note(sender)  # it has come, even if there is no room
            return True
        if fair(held, size, used, self._capacity):
            return True
        return len(self.held) == 1 and not self._lately.others(sender)


@lru_cache(maxsize=1024)
def _network(address: str) -> str:
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    bits = 128 - _NETWORK_BITS
    return f"{IPv6Address(int(found) >> bits << bits)}/{_NETWORK_BITS}"


def of_principal(name: str) -> str:
    """The sender that a principal is: empty for one without a name, and never an address."""
    return f"={name}" if name else ""


def of_address(address: str) -> str:
    """The sender that an address is, or its IPv6 network."""
    return _network(address) if ":" in address else address
