"""What requests may take together, their number and their memory, and what each of them holds of it.

Of both a sender may hold all that nobody else wants, and no more than its share of what others want too
(`delivery.shares`).
"""

from time import monotonic
from typing import Final

from service.delivery.shares import Lately, fair
from service.errors import Busy, Code, TooLarge, TooMany
from service.telemetry.meter import Meter

_RETRY_SECONDS = 1.0
"""What a producer is told to wait for room: bodies come and go within seconds."""
BODIES: Final = "bodies"
REQUESTS: Final = "requests"
"""What is shared, as metrics name it."""


class Part:
    """What one sender has of a room."""

    __slots__ = ("body_bytes", "requests", "sender")

    def __init__(self, sender: str) -> None:
        self.sender = sender
        self.requests = 0
        self.body_bytes = 0


class Room:
    """Memory for bodies that are being read, shared by all requests, and the number of requests."""

    def __init__(self, meter: Meter, capacity: int, requests: int) -> None:
        """`capacity` in bytes."""
        self._meter = meter
        self.capacity = capacity
        """Bytes for all of them."""
        self._requests = requests
        self._parts: dict[str, Part] = {}
        """Of each sender that has a request."""
        self._lately = Lately(monotonic)

    def enter(self, sender: str) -> Part:
        """Count a request. Raises Busy if too many are open, TooMany if too many of them are the sender's."""
        part, used = self._parts.get(sender), self._meter.requests_open
        if 2 * (used + 1) > self._requests:
            self._demand_place(sender, part.requests if part is not None else 0, used)
        if part is None:
            part = self._parts[sender] = Part(sender)
        part.requests += 1
        self._meter.requests_open += 1
        return part

    def leave(self, part: Part) -> None:
        """The request is answered."""
        self._meter.requests_open -= 1
        part.requests -= 1
        if not part.requests:
            del self._parts[part.sender]
            self._lately.note(part.sender)

    def reserve(self, part: Part, size: int) -> None:
        """Take `size` bytes. Raises Busy if there is no room now, TooMany if the sender holds its share."""
        if 2 * (self._meter.body_bytes + size) > self.capacity:
            self._demand_memory(part, size)
        self.change(part, size)

    def change(self, part: Part, size: int) -> None:
        """The sender holds `size` bytes more, or fewer."""
        self._meter.body_bytes += size
        part.body_bytes += size

    def _demand_place(self, sender: str, held: int, used: int) -> None:
        if not fair(held, 1, used, self._requests) and self._others(sender):
            raise self._over_share(REQUESTS, f"{held} requests of yours are being answered, which is your share")
        if used >= self._requests:
            self._lately.note(sender)  # it has come, though there is no room
            raise Busy(f"{self._requests} requests are being answered, as many as may be at once", _RETRY_SECONDS)

    def _demand_memory(self, part: Part, size: int) -> None:
        used = self._meter.body_bytes
        if not fair(part.body_bytes, size, used, self.capacity) and self._others(part.sender):
            raise self._over_share(BODIES, "your request bodies and answers hold your share of the memory for them")
        if used + size > self.capacity:
            raise Busy("no memory for more request bodies now", _RETRY_SECONDS)

    def _others(self, sender: str) -> bool:
        """Whether anybody else wants something of it."""
        return len(self._parts) > (sender in self._parts) or self._lately.others(sender)

    def _over_share(self, resource: str, detail: str) -> TooMany:
        self._meter.share_refusals[resource, ""] += 1
        return TooMany(Code.OVER_SHARE, f"{detail}: send less at once", _RETRY_SECONDS)


class Hold:
    """What one request takes of a room, until `end`: its place, and memory for its body or its answer."""

    __slots__ = ("_part", "_room", "reserved")

    def __init__(self, room: Room, size: int = 0, sender: str = "") -> None:
        """Take a place, and `size` bytes. Raises Busy if there is none, or no room for them now; TooMany if `sender`
        holds its share (OVER_SHARE)."""
        self.reserved = 0
        self._room = room
        self._part = room.enter(sender)
        if size:
            try:
                room.reserve(self._part, size)
            except (Busy, TooMany):
                room.leave(self._part)
                raise
            self.reserved = size

    @property
    def sender(self) -> str:
        """Whose share it takes."""
        return self._part.sender

    def grow(self, size: int) -> None:
        """Hold `size` bytes more. Raises Busy if there is no room for them now, TooMany if they are too much of it."""
        self._room.reserve(self._part, size)
        self.reserved += size

    @property
    def capacity(self) -> int:
        """Bytes that there are for all requests."""
        return self._room.capacity

    def demand(self, size: int) -> None:
        """Hold `size` bytes from now on, instead of what the body took.

        Raises Busy if there is no room for more now, TooMany if that is the sender's doing, TooLarge if there never is.
        """
        if size > self._room.capacity:
            raise TooLarge(
                Code.BATCH_TOO_LARGE,
                f"so many events, and the answer to them, take {size} bytes; at most {self._room.capacity} are there: "
                "send fewer events",
                limit=self._room.capacity,
                actual=size,
            )
        if size > self.reserved:
            self.grow(size - self.reserved)
        else:
            self.charge(size)

    def charge(self, size: int) -> None:
        """Hold `size` bytes from now on, whatever room there is: of an answer that is there already."""
        self._room.change(self._part, size - self.reserved)
        self.reserved = size

    def end(self) -> None:
        """The answer is sent, or nobody is left to read it."""
        self.charge(0)
        self._room.leave(self._part)
