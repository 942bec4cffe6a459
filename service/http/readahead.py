"""What has come of a connection before its turn: requests behind one that is not answered yet, as they came."""

from service.http.connections import Connections


class ReadAhead:
    """The bytes of one connection that nobody has parsed, charged to what unfinished heads take of its port."""

    __slots__ = ("_port", "data", "start")

    def __init__(self, port: Connections) -> None:
        self._port = port
        self.data = b""
        self.start = 0
        """Where in `data` begins what is not parsed."""

    def keep(self, data: bytes) -> bool:
        """Add `data`. False if there is no room for it; then nothing is kept any more."""
        kept = self.data[self.start :] + data
        self.drop()
        if not self._port.hold_head(len(kept)):
            return False
        self.data = kept
        return True

    def drop(self) -> None:
        """Keep nothing."""
        self._port.drop_head(len(self.data))
        self.data, self.start = b"", 0
