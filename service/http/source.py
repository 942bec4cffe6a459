"""The HTTP source: FastAPI around the ingest endpoint, health checks, and the API's documentation."""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Annotated

from fastapi import FastAPI, Path, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service import __version__
from service.delivery.health import Health
from service.delivery.shares import of_address
from service.errors import Code, Defect, Draining, IngestError
from service.http import answer, openapi
from service.http.admission import ENDED, Admission
from service.http.answer import Answer
from service.http.arrival import Arrival
from service.http.cors import ALLOW, cors_headers, preflight
from service.http.description.parameters import ROUTE
from service.http.head import header_map
from service.http.ingest import is_short
from service.http.observed import Observed, client_subject, own_trace, request_id, until_answered
from service.http.reading import Request as Asked
from service.http.unread import EarlyResponse, Incoming, closing
from service.quotas.quotas import Toll

log = logging.getLogger(__name__)

RouteName = Annotated[str, Path(description=ROUTE)]


class Http:
    """The application. `app` is what a server runs."""

    def __init__(self, admission: Admission, health: Health) -> None:
        self._admission = admission
        self._pipeline = admission.pipeline
        self._server = admission.server
        self._health = health
        api = FastAPI(
            title="Penstock",
            version=__version__,
            description=openapi.DESCRIPTION,
            redoc_url=None,
            redirect_slashes=False,
        )
        api.add_exception_handler(HTTPException, _not_ours)
        api.add_exception_handler(Exception, _failed)
        api.add_api_route(openapi.INGEST_PATH, self.post, methods=["POST"], response_class=Response, **openapi.INGEST)
        api.add_api_route(
            "/v1/{route}", self.options, methods=["OPTIONS"], response_class=Response, **openapi.PREFLIGHT
        )
        api.add_api_route("/livez", self.livez, methods=["GET"], **openapi.LIVEZ)
        api.add_api_route("/readyz", self.readyz, methods=["GET"], **openapi.READYZ)
        api.openapi = lambda: openapi.described(api)  # type: ignore[method-assign]  # FastAPI's own way to extend it
        api.state.admission = admission
        api.state.schemas = {}
        self.api = api
        self.app = Observed(api, admission)

    async def post(self, route: RouteName, request: Request) -> Response:
        """Send one event or many. Each is answered for."""
        headers = header_map(request.scope["headers"])
        identity = request_id(request.scope)
        incoming = Incoming(request.receive)
        cors = cors_headers(self._pipeline, route, headers)
        try:
            found = await self._taken(route, request, incoming, headers, identity)
        except IngestError as error:
            self._admission.authenticator.count(error)
            return _response(answer.of_error(error, identity), cors, incoming, closing(error, headers, incoming))
        except ClientDisconnect:
            # Nobody is left to read an answer, and nothing was taken.
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        except Exception:
            # Ours: its line in the log must name the request as its answer does
            log.exception("a request could not be answered", extra={"request_id": identity})
            return _response(answer.of_error(Defect(), identity), cors)
        return _response(found, cors)

    async def _taken(
        self, route: str, request: Request, incoming: Incoming, headers: Mapping[str, str], identity: str
    ) -> Answer:
        """The answer of the ingest endpoint. Raises IngestError for trouble outside events."""
        head = self._admission.head(route, headers, request.scope["headers"], client_subject(request.scope))
        address = request.client.host if request.client else ""
        hold = self._admission.enter(0, head.sender or of_address(address))
        until_answered(request.scope).callback(hold.end)
        toll: Toll | None = None
        try:
            arrival = Arrival(hold, self._server, headers, self._admission.ingest.pieces)
            if head.gate is not None:
                toll = head.gate.enter(hold.reserved)
            if (refusal := self._admission.refusal(head.target, hold)) is not None:
                raise refusal
            body = await arrival.read(incoming)
            trace = own_trace(request.scope) or head.trace
            asked = Asked(head, body, identity, address, hold.demand, trace, hold.sender, toll)
            if is_short(body):
                self._admission.ingest.pieces.small_at = perf_counter()
            pending = await self._admission.ingest.taken(asked, partial(_still_there, request))
        except asyncio.CancelledError:
            hold.charge(0)
            if toll is not None:
                toll.end(0)
            if self._pipeline.draining:
                # the server is at its end, and did not wait for the rest of the body
                raise Draining(ENDED) from None
            raise
        except (IngestError, ClientDisconnect) as error:
            hold.charge(0)
            if toll is not None:
                toll.refuse(error, incoming.received)
            raise
        del body
        await pending.wait(self._server.request_timeout)
        try:
            found = await self._admission.ingest.answered(pending)
        except asyncio.CancelledError:
            if not self._pipeline.draining:
                raise
            found = pending.answer()  # the server is at its end, and what became of the events is known
        hold.charge(len(found.body))
        return found

    async def options(self, route: RouteName, request: Request) -> Response:
        """Answer a browser's preflight for origins on the route's allow-list."""
        return preflight(self._pipeline, route, header_map(request.scope["headers"]))

    async def livez(self) -> Response:
        """Never depends on a destination."""
        status, body = self._health.livez()
        return JSONResponse(body, status)

    async def readyz(self) -> Response:
        """The status only; the admin port tells the reasons too."""
        status, body = self._health.readyz()
        return JSONResponse({"status": body["status"]}, status)


async def _still_there(request: Request) -> None:
    """Raises ClientDisconnect if nobody is left to read an answer."""
    if await request.is_disconnected():
        raise ClientDisconnect


def _response(
    found: Answer, extra: Mapping[str, str] | None = None, incoming: Incoming | None = None, closing: bool = False
) -> Response:
    headers = {**found.headers, **(extra or {})}
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
    """A defect of ours. Never a 4xx, never a 200."""
    del error
    return _response(answer.of_error(Defect(), request_id(request.scope)))
