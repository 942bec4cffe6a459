"""The admin port: `/metrics`, `/status`, `/livez`, `/readyz`. It shows; it changes nothing."""

import hmac
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from service import __version__
from service.delivery.health import Health
from service.delivery.pipeline import Pipeline
from service.errors import Code
from service.sinks.contract import Billed
from service.telemetry.meter import Meter
from service.telemetry.prometheus import LaneGauges, registry


def build(pipeline: Pipeline, meter: Meter, health: Health, token: str | None) -> FastAPI:
    """The admin application. With a `token`, everything but the health checks demands it as Bearer token."""
    app = FastAPI(title="Penstock admin", version=__version__, openapi_url=None)
    app.add_exception_handler(HTTPException, _refused)
    metrics = registry(meter, lambda: _gauges(pipeline), lambda: _bills(pipeline))
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
        status, body = health.livez()
        return JSONResponse(body, status)

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        status, body = health.readyz()
        return JSONResponse(body, status)

    @app.get("/metrics")
    async def scrape() -> Response:
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    @app.get("/status")
    async def status() -> JSONResponse:
        return JSONResponse(
            {
                "version": __version__,
                "phase": health.phase.value,
                "uptime_seconds": round(time.time() - started_at, 1),
                "troubles": health.troubles(),
                "lanes": {name: _lane(name, pipeline, meter) for name in pipeline.lanes},
                "routes": {
                    name: {
                        "types": list(route.types),
                        "to": [{"sink": leg.lane.name, "required": leg.terms.required} for leg in route.legs],
                        "dead_letter": route.dead_letters.lane.name if route.dead_letters else None,
                    }
                    for name, route in pipeline.routes.items()
                },
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


def _gauges(pipeline: Pipeline) -> list[LaneGauges]:
    return [
        LaneGauges(
            sink=lane.name,
            held_bytes=lane.held_bytes,
            capacity_bytes=lane.capacity,
            calls_in_flight=len(lane.calls),
            calls_limit=lane.limiter.limit,
            request_bytes=round(lane.calls.taken),
            request_capacity_bytes=lane.calls.capacity,
            base_seconds=lane.limiter.base,
            oldest_seconds=lane.oldest_age(),
            breaker=lane.breaker.state.value,
        )
        for lane in pipeline.lanes.values()
    ]


def _bills(pipeline: Pipeline) -> list[tuple[str, Mapping[str, int]]]:
    return [(lane.name, lane.sink.bill()) for lane in pipeline.lanes.values() if isinstance(lane.sink, Billed)]


def _lane(name: str, pipeline: Pipeline, meter: Meter) -> dict[str, Any]:
    lane = pipeline.lanes[name]
    settled: dict[str, int] = defaultdict(int)
    for (sink, _route, fate, _reason), count in meter.lane_settled.items():
        if sink == name:
            settled[fate] += count
    return {
        "state": "failing" if lane.breaker.failures else "healthy",
        "breaker": lane.breaker.state.value,
        "fallback": lane.settings.fallback,
        "failed_calls_in_a_row": lane.breaker.failures,
        "last_failure": lane.breaker.reason.value if lane.breaker.reason else None,
        "received": sum(count for (sink, _), count in meter.lane_received.items() if sink == name),
        "settled": dict(settled),
        "held_events": lane.held_events,
        "held_bytes": lane.held_bytes,
        "capacity_bytes": lane.capacity,
        "calls_in_flight": len(lane.calls),
        "calls_limit": lane.limiter.limit,
        "request_bytes": round(lane.calls.taken),
        "request_capacity_bytes": lane.calls.capacity,
        "base_seconds": round(lane.limiter.base, 4),
        "oldest_seconds": round(lane.oldest_age(), 3),
        "billed": dict(lane.sink.bill()) if isinstance(lane.sink, Billed) else {},
    }
