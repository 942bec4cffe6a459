"""The admin port: `/metrics`, `/status`, `/livez`, `/readyz`. It shows; it changes nothing."""

import hmac
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from msgspec import to_builtins
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from service import __version__
from service.admin.subject import Subject
from service.config.settings import RouteConfig
from service.errors import Code
from service.telemetry.journal import JournalGauges
from service.telemetry.prometheus import LaneGauges, registry
from service.telemetry.snapshot import Snapshot
from service.telemetry.source import SourceGauges


def build(subject: Subject, routes: Mapping[str, RouteConfig], token: str | None) -> FastAPI:
    """The admin application. With a `token`, everything but the health checks demands it as Bearer token."""
    app = FastAPI(title="Penstock admin", version=__version__, openapi_url=None)
    app.add_exception_handler(HTTPException, _refused)
    started_at = time.time()

    @app.middleware("http")
    async def authenticate(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        open_to_all = request.url.path in ("/livez", "/readyz")
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
        found = await subject.snapshot()
        workers = subject.workers()
        return JSONResponse(
            {
                "version": __version__,
                "phase": found.phase,
                "uptime_seconds": round(time.time() - started_at, 1),
                **({"workers": workers} if workers else {}),
                "troubles": found.troubles,
                **({"journal": _journal(found.journal)} if found.journal is not None else {}),
                **({"sources": {each.source: _source(each) for each in found.sources}} if found.sources else {}),
                "lanes": {lane.sink: _lane(lane, found) for lane in found.lanes},
                "routes": {name: _route(route) for name, route in routes.items()},
            }
        )

    return app


def _is_bearer(header: str, token: str) -> bool:
    scheme, _, given = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


async def _refused(request: Request, error: Exception) -> Response:
    """404 and 405, as problem documents."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not taken here: the admin port only shows, to GET"
        return _problem(HTTPStatus.METHOD_NOT_ALLOWED, Code.METHOD_NOT_ALLOWED, detail, error.headers)
    detail = "there is nothing at this path; try /metrics, /status, /livez or /readyz"
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


def _lane(lane: LaneGauges, found: Snapshot) -> dict[str, Any]:
    settled: dict[str, int] = defaultdict(int)
    for (sink, _route, fate, _reason), count in found.meter.lane_settled.items():
        if sink == lane.sink:
            settled[fate] += count
    return {
        "state": "failing" if lane.failures else "healthy",
        "breaker": lane.breaker,
        "fallback": lane.fallback,
        "failed_calls_in_a_row": lane.failures,
        "last_failure": lane.last_failure,
        "received": sum(count for (sink, _), count in found.meter.lane_received.items() if sink == lane.sink),
        "settled": dict(settled),
        "held_events": lane.held_events,
        "held_bytes": lane.held_bytes,
        "capacity_bytes": lane.capacity_bytes,
        "calls_in_flight": lane.calls_in_flight,
        "calls_limit": lane.calls_limit,
        "request_bytes": lane.request_bytes,
        "request_capacity_bytes": lane.request_capacity_bytes,
        "base_seconds": round(lane.base_seconds, 4),
        "oldest_seconds": round(lane.oldest_seconds, 3),
        "billed": found.bills.get(lane.sink, {}),
    }


def _source(source: SourceGauges) -> dict[str, Any]:
    found: dict[str, Any] = to_builtins(source)
    del found["source"]
    return found


def _journal(journal: JournalGauges) -> dict[str, Any]:
    return {
        "trouble": journal.trouble,
        "used_bytes": journal.used_bytes,
        "max_bytes": journal.max_bytes,
        "free_bytes": journal.free_bytes,
        "queued_bytes": journal.queued_bytes,
        "oldest_seconds": round(journal.oldest_seconds, 3),
        "waiting": [
            {"sink": sink, "route": route, "events": count} for (sink, route), count in journal.waiting.items()
        ],
    }


def _route(route: RouteConfig) -> dict[str, Any]:
    return {
        "types": list(route.types),
        "ack": route.ack,
        "to": [{"sink": to.sink, "required": to.required} for to in route.to],
        "dead_letter": route.dead_letter.sink if route.dead_letter else None,
    }
