"""What every request gets, whatever answers it: an id, and a place in the histogram of durations."""

import re
from collections.abc import Collection
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.delivery.route import uuid7
from service.telemetry.meter import Meter

_GIVEN = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}\Z")
_NAME = "penstock.request_id"


def request_id(scope: Scope) -> str:
    """The id of a request that came through `Observed`."""
    return str(scope[_NAME])


class Observed:
    """Gives each request an id (the producer's own X-Request-Id if it is a plain one) and times its answer."""

    def __init__(self, app: ASGIApp, meter: Meter, routes: Collection[str]) -> None:
        """`routes`: the names that may become a label; everything else is counted under the empty one."""
        self._app = app
        self._meter = meter
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        identity = _identity(scope)
        scope[_NAME] = identity
        status, answered = 500, 0.0

        async def answering(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], perf_counter()
                message["headers"] = [*message["headers"], (b"x-request-id", identity.encode())]
            await send(message)

        try:
            await self._app(scope, receive, answering)
        finally:
            name = scope["path"].removeprefix("/v1/")
            self._meter.observe_request(
                name if name in self._routes else "", status, (answered or perf_counter()) - began
            )


def _identity(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _GIVEN.match(value):
            return str(value.decode())
    return uuid7()
