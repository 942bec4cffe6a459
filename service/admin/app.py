"""The admin port: `/metrics`, `/status`, `/livez`, `/readyz`, `/console`. It shows; it changes nothing."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from service import __version__
from service.admin import console
from service.admin.status import Configuration, Status
from service.admin.subject import Subject
from service.admin.watch import Watch
from service.config.settings import RouteConfig
from service.errors import Code
from service.telemetry.prometheus import registry
from service.units import is_address

_WRONG_BEARER: Final = "send the admin token, as `Authorization: Bearer TOKEN`"
_WRONG_PAGE: Final = (
    "without `admin.token` only an address or localhost is answered as Host, and no page of another site, so that no "
    "web page can ask through a browser on this machine; set a token to use other names"
)


def build(
    subject: Subject,
    routes: Mapping[str, RouteConfig],
    token: str | None,
    configuration: Configuration = Configuration(),
    watch: Watch | None = None,
) -> FastAPI:
    """The admin application. With a `token`, everything but the health checks and the console's page demands it as
    Bearer token. `watch`: what the console shows; without one there is none."""
    app = FastAPI(title="Penstock admin", version=__version__, openapi_url=None)
    app.add_exception_handler(HTTPException, _refused)
    shown = Status(subject, routes, configuration)

    @app.middleware("http")
    async def authenticate(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        path = request.scope["path"]  # not that of `request.url`, which is made with what the Host header says
        if path in ("/livez", "/readyz") or console.needs_no_secret(path):
            return await call_next(request)
        if token is None:
            allowed, detail = _is_of_no_web_page(request.headers), _WRONG_PAGE
        else:
            allowed, detail = _is_bearer(request.headers.get("authorization", ""), token), _WRONG_BEARER
        if allowed:
            return await call_next(request)
        headers = {"WWW-Authenticate": 'Bearer realm="penstock admin"'}
        return _problem(HTTPStatus.UNAUTHORIZED, Code.UNAUTHENTICATED, detail, headers)

    @app.get("/livez")
    async def livez() -> JSONResponse:
        status, body = subject.livez()
        return JSONResponse(body, status)

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        status, body = subject.readyz()
        return JSONResponse(body, status)

    @app.get("/metrics")
    async def scrape() -> Response:
        page = registry(await subject.snapshot())
        return Response(generate_latest(page), media_type=CONTENT_TYPE_LATEST)

    @app.get("/status")
    async def status() -> JSONResponse:
        return JSONResponse(await shown.shown())

    if watch is not None:
        app.include_router(console.router(watch, _crowded))
    return app


def _crowded(detail: str) -> Response:
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, Code.BUSY, detail, {"Retry-After": "10"})


def _is_of_no_web_page(headers: Mapping[str, str]) -> bool:
    """Whether a request did not come from the page of another site, as far as the browser tells: such a page can name
    this port by an address, and then the browser says that it is of another site, or by a name of its own that leads
    here (DNS rebinding), and then Host has that name.
    """
    if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
        return False
    host = headers.get("host", "localhost").lower()
    name, _, port = host.rpartition(":")
    if not port.isdigit():
        name = host
    return name == "localhost" or is_address(name.strip("[]"))


def _is_bearer(header: str, token: str) -> bool:
    scheme, _, given = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


async def _refused(request: Request, error: Exception) -> Response:
    """404 and 405, as problem documents."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not taken here: the admin port only shows, to GET"
        return _problem(HTTPStatus.METHOD_NOT_ALLOWED, Code.METHOD_NOT_ALLOWED, detail, error.headers)
    detail = "there is nothing at this path; try /console, /metrics, /status, /livez or /readyz"
    return _problem(HTTPStatus(error.status_code), Code.UNKNOWN_PATH, detail, error.headers)


def _problem(status: HTTPStatus, code: Code, detail: str, headers: Mapping[str, str] | None) -> Response:
    """An RFC 9457 problem document, with the codes of the public port."""
    body = {
        "type": f"urn:penstock:error:{code.value}",
        "title": status.phrase,
        "status": status,
        "code": code.value,
        "detail": detail,
    }
    return JSONResponse(body, status, headers, media_type="application/problem+json")
