"""The dead letters of one flow, until they are safe: what they take of memory, and how those are withdrawn for which
there was no room yet. A message that comes again brings its letter again: what waited for the first would pile up.
"""

from collections.abc import Callable

from service.delivery.route import Route
from service.errors import IngestError
from service.event import Event
from service.outcome import Reason
from service.receiving.handover import Handover


class Letters:
    """What was refused of one flow's messages."""

    def __init__(self, handover: Handover, ended: Callable[[int, bool], None]) -> None:
        """`ended` hears of which message a letter is safe, or never will be."""
        self.bytes = 0
        """Of all that are not safe."""
        self._handover = handover
        self._ended = ended
        self._written = 0
        self._open: dict[int, tuple[int, int, Callable[[], bool]]] = {}
        """The message, the bytes, and what withdraws it, of each that is not safe."""

    def write(self, letter: Event, error: IngestError, route: Route | None, number: int, reason: Reason) -> None:
        """Write a letter of message `number`, as soon as there is room."""
        this, charge = self._written, letter.charge
        self._written += 1

        def done(kept: bool) -> None:
            if self._open.pop(this, None) is not None:
                self.bytes -= charge
                self._ended(number, kept)

        self.bytes += charge
        self._open[this] = number, charge, lambda: False
        withdraw = self._handover.refuse(letter, error, route, done, reason)
        if this in self._open:
            self._open[this] = number, charge, withdraw

    def withdraw(self) -> list[int]:
        """Write no letter for which there was no room yet. Returns the message of each."""
        found = []
        for this, (number, charge, withdraw) in list(self._open.items()):
            if withdraw():
                del self._open[this]
                self.bytes -= charge
                found.append(number)
        return found

    def close(self) -> None:
        """The same, and hear nothing more of the others."""
        self.withdraw()
        self._open.clear()
        self.bytes = 0
