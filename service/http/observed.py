"""What every request gets, whatever answers it: an id, a place in the histogram of durations, an end to what it holds.

A long answer is written piece by piece, as its client reads it: what it takes of memory is held until then.
"""

from contextlib import ExitStack
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.codecs.tracecontext import of_headers
from service.delivery.spans import RequestSpan
from service.event import Trace, uuid7
from service.http.admission import Admission
from service.http.head import header_map
from service.http.preferences import plain_id
from service.http.protocol import SUBJECT, UNSENT_BYTES

_NAME = "penstock.request_id"
_HELD = "penstock.held"
_TRACE = "penstock.trace"
_PATH_CHARACTERS = 256
"""Of a path, which may be anything, in a span."""


def request_id(scope: Scope) -> str:
    """The id of a request that came through `Observed`."""
    return str(scope[_NAME])


def until_answered(scope: Scope) -> ExitStack:
    """What a request that came through `Observed` holds until its answer is sent, or nobody is left to read it."""
    held: ExitStack = scope[_HELD]
    return held


def own_trace(scope: Scope) -> Trace | None:
    """The span of a request that came through `Observed`, if it is recorded."""
    found: Trace | None = scope[_TRACE]
    return found


def client_subject(scope: Scope) -> str | None:
    """Whom the client's verified certificate names; None without one."""
    found: str | None = scope.get("state", {}).get(SUBJECT)
    return found


class Observed:
    """Gives each request an id (the producer's own X-Request-Id if it is a plain one) and times its answer."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        given = [value for name, value in scope["headers"] if name == b"x-request-id"]
        identity = (plain_id(given[0].decode("latin-1")) if len(given) == 1 else None) or uuid7()
        scope[_NAME] = identity
        span = self._begun(scope) if self._admission.spans is not None else None
        scope[_TRACE] = span.trace if span is not None else None
        status, answered = 500, 0.0

        async def answering(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], perf_counter()
                message["headers"] = [*message["headers"], (b"x-request-id", identity.encode())]
            elif len(body := message.get("body", b"")) > UNSENT_BYTES:
                for start in range(0, len(body), UNSENT_BYTES):
                    # the server waits with the next piece until this one is nearly read
                    await send({**message, "body": body[start : start + UNSENT_BYTES], "more_body": True})
                message = {**message, "body": b""}
            await send(message)

        try:
            with ExitStack() as held:
                scope[_HELD] = held
                await self._app(scope, receive, answering)
        finally:
            route = scope["path"].removeprefix("/v1/")
            self._admission.observe(route, status, (answered or perf_counter()) - began)
            if span is not None:
                known = scope["raw_path"] in self._admission.targets
                span.end(scope["method"], scope["path"][:_PATH_CHARACTERS], status, identity, known=known)

    def _begun(self, scope: Scope) -> RequestSpan | None:
        """The span of a request that begins; None if it is not recorded, as those that ask for health are not."""
        spans = self._admission.spans
        if spans is None or scope["method"] != "POST":
            return None
        return spans.request(of_headers(header_map(scope["headers"])))
