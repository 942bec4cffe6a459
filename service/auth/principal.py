"""The principal: who sends, and where it may send to."""

from msgspec import Struct


class Principal(Struct, frozen=True):
    """Who sends. Equal for all requests with the same credentials."""

    name: str
    """Unique among all that may send, also across kinds of credentials; empty for anybody."""
    routes: frozenset[str] | None
    """Routes that it may send to; None for all."""

    def may_send(self, route: str) -> bool:
        """Whether it may send to this route."""
        return self.routes is None or route in self.routes


ANYBODY = Principal("", None)
"""Where nobody is asked who he is."""
