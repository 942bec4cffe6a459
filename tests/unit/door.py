"""An authenticator that trusts one issuer, as who sends a token meets it."""

from contextlib import AsyncExitStack
from typing import Any

import pytest

from service.auth.authenticator import Authenticator
from service.auth.refusal import Refused, Why
from service.config.auth import Auth
from service.config.settings import RouteConfig
from service.telemetry.meter import Meter
from tests.unit.issuer import Issuer

ROUTES = {name: RouteConfig.model_validate({"to": ["main"]}) for name in ("orders", "returns")}


class Door:
    """An authenticator that trusts one issuer."""

    def __init__(self, found: Authenticator, meter: Meter) -> None:
        self.found = found
        self.meter = meter

    def routes(self, token: str) -> frozenset[str] | None:
        return self.found.grant("orders", {"authorization": f"Bearer {token}"}).principal.routes

    def name(self, token: str) -> str:
        return self.found.grant("orders", {"authorization": f"Bearer {token}"}).principal.name

    @property
    def remembered(self) -> list[int]:
        """The bytes by which each token is known that was verified."""
        assert self.found._tokens is not None
        return [len(each) for each in self.found._tokens._verified]

    def refused(self, token: str) -> Why:
        with pytest.raises(Refused) as caught:
            self.name(token)
        assert token not in caught.value.detail
        return caught.value.why


async def door(stack: AsyncExitStack, issuer: Issuer, there: Any = ROUTES, **settings: Any) -> Door:
    meter = Meter()
    auth = Auth.model_validate({"jwt": {"issuer": issuer.url, "audience": "penstock", **settings}})
    return Door(await stack.enter_async_context(Authenticator(auth, there, meter=meter)), meter)
