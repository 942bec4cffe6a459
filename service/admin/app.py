"""The admin port: `/metrics`, `/status`, `/livez`, `/readyz`. It shows; it changes nothing."""

import hmac
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service import __version__
from service.delivery.health import Health
from service.delivery.pipeline import Pipeline
from service.telemetry.meter import Meter
from service.telemetry.prometheus import registry


def build(pipeline: Pipeline, meter: Meter, health: Health, token: str | None) -> FastAPI:
    """The admin application. With a `token`, everything but the health checks demands it as Bearer token."""
    app = FastAPI(title="Penstock admin", version=__version__, docs_url=None, redoc_url=None)
    metrics = registry(meter, lambda: _gauges(pipeline))
    started_at = time.time()

    @app.middleware("http")
    async def authenticate(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        open_to_all = request.url.path in ("/livez", "/readyz")
        given = request.headers.get("authorization", "")
        if token is None or open_to_all or hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return await call_next(request)
        return JSONResponse(
            {
                "title": "Unauthorized",
                "status": 401,
                "detail": "send the admin token as Bearer token",
            },
            status_code=401,
            headers={"WWW-Authenticate": "Bearer"},
            media_type="application/problem+json",
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


def _gauges(pipeline: Pipeline) -> list[tuple[str, int, int, int, float]]:
    return [
        (lane.name, lane.held_bytes, lane.capacity, len(lane.calls), lane.oldest_age())
        for lane in pipeline.lanes.values()
    ]


def _lane(name: str, pipeline: Pipeline, meter: Meter) -> dict[str, Any]:
    lane = pipeline.lanes[name]
    settled: dict[str, int] = defaultdict(int)
    for (sink, _route, fate, _reason), count in meter.lane_settled.items():
        if sink == name:
            settled[fate] += count
    return {
        "state": "failing" if lane.failures else "healthy",
        "failed_calls_in_a_row": lane.failures,
        "last_failure": lane.last_failure.value if lane.last_failure else None,
        "received": sum(count for (sink, _), count in meter.lane_received.items() if sink == name),
        "settled": dict(settled),
        "held_events": lane.held_events,
        "held_bytes": lane.held_bytes,
        "capacity_bytes": lane.capacity,
        "calls_in_flight": len(lane.calls),
        "oldest_seconds": round(lane.oldest_age(), 3),
    }
