"""The HTTP source: FastAPI around the ingest endpoint, health checks, and the API's documentation."""

import asyncio
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Path, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service import __version__
from service.config.settings import RESERVED_ROUTE, ServerConfig
from service.delivery.health import Health
from service.delivery.pipeline import DRAINING_RETRY_SECONDS, Pipeline
from service.errors import Code, IngestError, SlowClient, TooLarge, Unavailable, Unreadable
from service.sources import answer, openapi
from service.sources.answer import Answer
from service.sources.arrival import Arrival, Room
from service.sources.cors import ALLOW, cors_headers, preflight
from service.sources.ingest import Ingest
from service.sources.keys import Keys
from service.sources.observed import Observed, request_id, until_answered
from service.sources.reading import Request as IngestRequest
from service.sources.unread import EarlyResponse, Incoming
from service.telemetry.meter import Meter

WORTH_REFUSING_BYTES = 16 * 1024
"""Bodies from here on are refused unread when their lane has no room; the events of smaller ones are counted."""

RouteName = Annotated[str, Path(description=f"A route's name, or `{RESERVED_ROUTE}` to route CloudEvents by type.")]


class Http:
    """The application. `app` is what a server runs."""

    def __init__(
        self,
        pipeline: Pipeline,
        server: ServerConfig,
        keys: Keys,
        meter: Meter,
        health: Health,
    ) -> None:
        self._pipeline = pipeline
        self._server = server
        self._keys = keys
        self._health = health
        self._ingest = Ingest(pipeline, server, meter)
        self._room = Room(meter, server.body_memory, server.max_requests)
        api = FastAPI(
            title="Penstock",
            version=__version__,
            description=openapi.DESCRIPTION,
            redoc_url=None,
            redirect_slashes=False,
        )
        api.add_exception_handler(HTTPException, _not_ours)
        api.add_exception_handler(Exception, _failed)
        api.add_api_route("/v1/{route}", self.post, methods=["POST"], response_class=Response, **openapi.INGEST)
        api.add_api_route("/v1/{route}", self.options, methods=["OPTIONS"], include_in_schema=False)
        api.add_api_route("/livez", self.livez, methods=["GET"], **openapi.LIVEZ)
        api.add_api_route("/readyz", self.readyz, methods=["GET"], **openapi.READYZ)
        api.openapi = lambda: openapi.described(api)  # type: ignore[method-assign]  # FastAPI's own way to extend it
        self.api = api
        labels = frozenset(pipeline.routes) | {RESERVED_ROUTE}
        self.app = Observed(api, meter, labels)

    async def post(self, route: RouteName, request: Request) -> Response:
        """Send one event or many. Each is answered for."""
        headers = _headers(request)
        identity = request_id(request.scope)
        incoming = Incoming(request.receive)
        cors = cors_headers(self._pipeline, route, headers)
        try:
            self._room.enter()
        except IngestError as error:
            return _response(answer.of_error(error, identity), cors, incoming, _closing(error, headers, incoming))
        until_answered(request.scope).callback(self._room.leave)
        try:
            found = await self._taken(route, request, incoming, headers, identity)
        except IngestError as error:
            return _response(answer.of_error(error, identity), cors, incoming, _closing(error, headers, incoming))
        except ClientDisconnect:
            # Nobody is left to read an answer, and nothing was taken.
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        return _response(found, cors)

    async def _taken(
        self, route: str, request: Request, incoming: Incoming, headers: Mapping[str, str], identity: str
    ) -> Answer:
        """The answer of the ingest endpoint. Raises IngestError for trouble outside events."""
        principal = self._keys.principal(headers)
        target = self._ingest.find(route, principal.routes)
        if self._pipeline.draining:
            raise _draining("this replica is shutting down")
        if "upgrade" in headers and "upgrade" in headers.get("connection", "").lower():
            # httptools leaves the body of such a request unparsed (its on_headers_complete skips it)
            raise Unreadable(
                Code.MALFORMED_HEADER,
                "Upgrade: is not taken here; send plain HTTP/1.1 (with Java's HttpClient: version(HTTP_1_1))",
            )
        raw = request.scope["headers"]
        if len(headers) < len(raw):
            _demand_single(raw)
        arrival = until_answered(request.scope).enter_context(Arrival(self._room, self._server, headers))
        try:
            if target is not None and arrival.reserved >= WORTH_REFUSING_BYTES:
                self._pipeline.demand_room(target, arrival.reserved)
            pending = await self._ingest.taken(
                IngestRequest(
                    route=route,
                    headers=headers,
                    body=await arrival.read(incoming),
                    request_id=identity,
                    address=request.client.host if request.client else "",
                    allowed=principal.routes,
                    keep=arrival.keep,
                    plain_text=target is not None and target.allows(headers.get("origin")),
                )
            )
        except asyncio.CancelledError:
            arrival.hold(0)
            if self._pipeline.draining:
                # the server is at its end, and did not wait for the rest of the body
                raise _draining("this replica ended before the request had arrived; nothing was taken") from None
            raise
        except IngestError:
            arrival.hold(0)
            raise
        await pending.wait(self._server.request_timeout)
        found = pending.answer()
        arrival.hold(len(found.body))
        return found

    async def options(self, route: RouteName, request: Request) -> Response:
        """Answer a browser's preflight for origins on the route's allow-list."""
        return preflight(self._pipeline, route, _headers(request))

    async def livez(self) -> Response:
        """Never depends on a destination."""
        status, body = self._health.livez()
        return JSONResponse(body, status)

    async def readyz(self) -> Response:
        """The status only; the admin port tells the reasons too."""
        status, body = self._health.readyz()
        return JSONResponse({"status": body["status"]}, status)


def _draining(detail: str) -> Unavailable:
    return Unavailable(Code.DRAINING, detail, DRAINING_RETRY_SECONDS)


def _headers(request: Request) -> dict[str, str]:
    """Lower-cased names; values of a repeated header are joined (RFC 9110 section 5.3). Octets are Latin-1."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _demand_single(raw: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise Unreadable (MALFORMED_HEADER) for two headers that name an event: joined, they would name another one."""
    seen = set[bytes]()
    for name, _ in raw:
        if name in seen and (name == b"idempotency-key" or name.startswith(b"ce-")):
            raise Unreadable(Code.MALFORMED_HEADER, f"{name[:80].decode('latin-1')}: stands there twice; send one")
        seen.add(name)


def _closing(error: IngestError, headers: Mapping[str, str], incoming: Incoming) -> bool:
    """Whether the connection ends with the answer."""
    if error.code is Code.DRAINING or "upgrade" in headers:
        return True
    # A producer that waited for leave to send its body may send it now, or not: what comes next has no meaning.
    return not incoming.ended and (isinstance(error, TooLarge | SlowClient) or "expect" in headers)


def _response(
    found: Answer, extra: Mapping[str, str] | None = None, incoming: Incoming | None = None, closing: bool = False
) -> Response:
    headers = {**found.headers, **(extra or {})}
    if found.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="penstock"'
    if closing:
        headers["Connection"] = "close"
    if incoming is None or incoming.ended:
        return Response(found.body, found.status, headers, found.media_type)
    return EarlyResponse(incoming, found.body, found.status, headers, found.media_type)


async def _not_ours(request: Request, error: Exception) -> Response:
    """404 and 405 of paths that are not ours, as problem documents."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        code, detail = Code.METHOD_NOT_ALLOWED, f"{request.method} is not taken here; send events with POST /v1/ROUTE"
    else:
        code, detail = Code.UNKNOWN_PATH, "there is nothing at this path; events go to POST /v1/ROUTE"
    headers = dict(error.headers or {})
    if "Allow" in headers and request.url.path.startswith("/v1/"):
        headers["Allow"] = ALLOW
    return _response(
        answer.problem(error.status_code, code, detail, request_id(request.scope), headers, retryable=False)
    )


async def _failed(request: Request, error: Exception) -> Response:
    """A defect of ours. Never a 4xx, never a 200: events may have been taken, so a retry may duplicate."""
    del error
    found = answer.problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        Code.INTERNAL,
        "a defect of the service; what became of the events is not known",
        request_id(request.scope),
        retryable=True,
        may_duplicate=True,
    )
    return _response(found)
