"""What the connections of one port may take together, before anybody has said who they are."""

import logging
from typing import Final

from service.telemetry.meter import Meter

log = logging.getLogger(__name__)

PARTING: Final = 64
"""How many connections beyond the most are told why before they end; more are only ended."""


class Connections:
    """The connections of one port."""

    def __init__(
        self, port: str, most: int, head_memory: int, answer_seconds: float, meter: Meter, *, endless: bool = False
    ) -> None:
        """`port` labels the metrics; `head_memory` in bytes, for what of all of them is not yet a request.

        `answer_seconds`: how long a client may take to read an answer that it keeps waiting. `endless`: answers may
        have no end, so that the time begins anew whenever the client has read.
        """
        self.port = port
        self.most = most
        self.answer_seconds = answer_seconds
        self.endless = endless
        self.leaving = False
        """Whether clients are to go elsewhere: each answer ends its connection, unless more has come behind it."""
        self._head_memory = head_memory
        self._head_bytes = 0
        self._meter = meter
        self._full = False

    def enter(self) -> bool:
        """Count a connection. False if it is one too many: it may be told so, and must leave."""
        self._meter.connections_open[self.port] += 1
        if self._meter.connections_open[self.port] <= self.most:
            return True
        self._meter.connections_refused[self.port] += 1
        if not self._full:
            self._full = True
            log.warning("no more connections are taken", extra={"port": self.port, "open": self.most})
        return False

    def begin(self) -> bool:
        """Count a connection whose handshake begins: until `end`. False if it must end at once."""
        self._meter.connections_open[self.port] += 1
        if not self.crowded:
            return True
        self._meter.connections_open[self.port] -= 1
        self._meter.connections_refused[self.port] += 1
        return False

    def end(self) -> None:
        """The handshake is over; a connection that goes on enters now."""
        self._meter.connections_open[self.port] -= 1

    @property
    def crowded(self) -> bool:
        """Whether even telling a connection that it is one too many is too much."""
        return self._meter.connections_open[self.port] > self.most + PARTING

    def leave(self) -> None:
        """The connection is gone."""
        self._meter.connections_open[self.port] -= 1
        if self._full and self._meter.connections_open[self.port] < self.most * 0.9:
            self._full = False
            log.info("connections are taken again", extra={"port": self.port})

    def hold_head(self, size: int) -> bool:
        """Take `size` bytes for a head that has not ended, or that waits for its turn. False if there is no room."""
        if self._head_bytes + size > self._head_memory:
            return False
        self._head_bytes += size
        return True

    def drop_head(self, size: int) -> None:
        """Give `size` bytes back."""
        self._head_bytes -= size
