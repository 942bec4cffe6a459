"""Which web pages may post: a route's allow-list of origins (Fetch standard, CORS protocol).

`/v1/events` is open to no page: a page's origin is allowed for one route, not for all of them.
"""

from collections.abc import Mapping

from starlette.responses import Response

from service.delivery.pipeline import Pipeline

ALLOW = "POST, OPTIONS"
"""The methods of an ingest path."""

_PREFLIGHT_SECONDS = 600


def cors_headers(pipeline: Pipeline, route: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that let the page at `Origin` read an answer; none if its origin is not on the list."""
    found = pipeline.routes.get(route)
    if found is None or not found.origins:
        return {}
    origin = headers.get("origin")
    if not found.allows(origin):
        return {"Vary": "Origin"}
    return {
        "Access-Control-Allow-Origin": str(origin),
        "Access-Control-Expose-Headers": "Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id",
        "Vary": "Origin",
    }


def preflight(pipeline: Pipeline, route: str, headers: Mapping[str, str]) -> Response:
    """204; with leave to post if the page's origin is on the route's list."""
    allowed = cors_headers(pipeline, route, headers)
    result = {"Allow": ALLOW, **allowed}
    if "Access-Control-Allow-Origin" in allowed:
        result |= {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": headers.get("access-control-request-headers", "Content-Type")[:1024],
            "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
        }
    return Response(status_code=204, headers=result)
