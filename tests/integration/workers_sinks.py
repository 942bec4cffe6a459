"""Destinations for tests of workers, as somebody else's plugins: one that takes its time, one that ends its process."""

import os
from typing import Self

from service.event import Event
from service.sinks.contract import Limits
from tests.integration import slow_sink


class Slow(slow_sink.Slow):
    """Says which process each event came by."""

    class Config(slow_sink.Slow.Config):
        """Nothing of its own."""

    limits = Limits(batch_events=100, batch_bytes=2**20, event_bytes=2**20)

    def line(self, event: Event) -> bytes:
        """Process and body."""
        return b"%d %s\n" % (os.getpid(), event.body)


class Deadly(Slow):
    """Its process does not live to see it entered."""

    class Config(Slow.Config):
        """Nothing of its own."""

    async def __aenter__(self) -> Self:
        os._exit(7)
