"""The admin port: `/metrics`, `/status`, `/livez`, `/readyz`, `/console`. It shows; it changes nothing."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

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
        open_to_all = request.url.path in ("/livez", "/readyz") or console.needs_no_secret(request.url.path)
        if token is None or open_to_all or _is_bearer(request.headers.get("authorization", ""), token):
            return await call_next(request)
        return _problem(
            HTTPStatus.UNAUTHORIZED,
            Code.UNAUTHENTICATED,
            "send the admin token, as `Authorization: Bearer TOKEN`",
            {"WWW-Authenticate": 'Bearer realm="penstock admin"'},
        )

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
        found = await subject.snapshot()
        page = registry(found.meter, lambda: found.lanes, found.bills.items, found.journal, found.sources)
        return Response(generate_latest(page), media_type=CONTENT_TYPE_LATEST)

    @app.get("/status")
    async def status() -> JSONResponse:
        return JSONResponse(await shown.shown())

    if watch is not None:
        app.include_router(console.router(watch, _crowded))
    return app


def _crowded(detail: str) -> Response:
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, Code.BUSY, detail, {"Retry-After": "10"})


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
