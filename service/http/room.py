"""What requests may take together, their number and their memory, and what each of them holds of it."""

from service.errors import Busy, Code, TooLarge
from service.telemetry.meter import Meter

_RETRY_SECONDS = 1.0
"""What a producer is told to wait for room: bodies come and go within seconds."""


class Room:
    """Memory for bodies that are being read, shared by all requests, and the number of requests."""

    def __init__(self, meter: Meter, capacity: int, requests: int) -> None:
        """`capacity` in bytes."""
        self._meter = meter
        self.capacity = capacity
        """Bytes for all of them."""
        self._requests = requests

    def enter(self) -> None:
        """Count a request. Raises Busy if too many are open."""
        if self._meter.requests_open >= self._requests:
            raise Busy(f"{self._requests} requests are being answered, as many as may be at once", _RETRY_SECONDS)
        self._meter.requests_open += 1

    def leave(self) -> None:
        """The request is answered."""
        self._meter.requests_open -= 1

    def reserve(self, size: int) -> None:
        """Take `size` bytes. Raises Busy if there is no room now."""
        if self._meter.body_bytes + size > self.capacity:
            raise Busy("no memory for more request bodies now", _RETRY_SECONDS)
        self._meter.body_bytes += size

    def release(self, size: int) -> None:
        """Give `size` bytes back."""
        self._meter.body_bytes -= size


class Hold:
    """What one request takes of a room, until `end`: its place, and memory for its body or its answer."""

    __slots__ = ("_room", "reserved")

    def __init__(self, room: Room, size: int = 0) -> None:
        """Take a place, and `size` bytes. Raises Busy if there is none, or no room for them now."""
        self.reserved = 0
        self._room = room
        room.enter()
        if size:
            try:
                room.reserve(size)
            except Busy:
                room.leave()
                raise
            self.reserved = size

    def grow(self, size: int) -> None:
        """Hold `size` bytes more. Raises Busy if there is no room for them now."""
        self._room.reserve(size)
        self.reserved += size

    @property
    def capacity(self) -> int:
        """Bytes that there are for all requests."""
        return self._room.capacity

    def demand(self, size: int) -> None:
        """Hold `size` bytes from now on, instead of what the body took.

        Raises Busy if there is no room for more now, TooLarge if there never is.
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
            self._room.release(self.reserved - size)
            self.reserved = size

    def charge(self, size: int) -> None:
        """Hold `size` bytes from now on, whatever room there is: of an answer that is there already."""
        self._room.release(self.reserved - size)
        self.reserved = size

    def end(self) -> None:
        """The answer is sent, or nobody is left to read it."""
        self.charge(0)
        self._room.leave()
