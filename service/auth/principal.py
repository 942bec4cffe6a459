"""The principal: who sends, and where it may send to."""

from collections.abc import Iterable
from math import inf

from msgspec import Struct


class Principal(Struct, frozen=True):
    """Who sends. Equal for all requests with the same credentials."""

    name: str
    """Whose quota and share it is; empty for anybody. A key and a certificate may have one, tokens of two issuers
    never."""
    routes: frozenset[str] | None
    """Routes that it may send to; None for all."""

    def may_send(self, route: str) -> bool:
        """Whether it may send to this route."""
        return self.routes is None or route in self.routes


ANYBODY = Principal("", None)
"""Where nobody is asked who he is."""


class Grant(Struct, frozen=True):
    """What credentials are good for."""

    principal: Principal
    until: float = inf
    """Unix seconds at which they end."""


def limited(routes: Iterable[str] | None, accepting: frozenset[str] | None) -> frozenset[str] | None:
    """Of `routes`, those `accepting` the kind of credentials; None is all of them."""
    if routes is None:
        return accepting
    return frozenset(routes) if accepting is None else accepting & frozenset(routes)
