"""What a way to CloudWatch is: datums are packed, in any thread, and what was packed is sent."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from service.cloudwatch.datum import Datum


class Packed(Struct, frozen=True):
    """Datums of one flush, ready to be sent as a whole."""

    body: bytes
    datums: int


class Unsent(Exception):
    """What was packed has not arrived, as far as is known."""

    def __init__(self, reason: str, detail: str, after: float | None = None, *, hopeless: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        """A value of `outcome.Reason`."""
        self.detail = detail
        self.after = after
        """Seconds that the other side asked to wait."""
        self.hopeless = hopeless
        """It is refused as it is: to send it again cannot help."""


class Way(Protocol):
    """One way."""

    def packed(self, data: Sequence[Datum], moment: float) -> list[Packed]:
        """`data` of the interval that ended at `moment`, in seconds since the epoch. Called in a thread."""

    async def send(self, packed: Packed) -> None:
        """Send it once. Raises Unsent."""
