"""Headers of answers."""

from typing import Any, Final

HEADERS: Final[dict[str, Any]] = {
    "X-Request-Id": {
        "description": "The request's own, or a new one. Logs and dead letters have it.",
        "required": True,
        "schema": {"type": "string", "maxLength": 128},
    },
    "Retry-After": {
        "description": "Whole seconds to wait before the next attempt.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 2,
    },
    "RateLimit": {
        "description": "When a quota has room again (draft-ietf-httpapi-ratelimit-headers).",
        "schema": {"type": "string"},
        "example": '"principal_events";r=0;t=7',
    },
    "RateLimit-Policy": {
        "description": "What the quota is (draft-ietf-httpapi-ratelimit-headers).",
        "schema": {"type": "string"},
        "example": '"principal_events";q=5000;w=10;qu="events"',
    },
    "Preference-Applied": {
        "description": "What of `Prefer` was applied.",
        "schema": {"type": "string"},
        "example": "handling=strict, return=minimal",
    },
    "WWW-Authenticate": {
        "description": "How to say who sends.",
        "required": True,
        "schema": {"type": "string"},
        "example": 'Bearer realm="penstock"',
    },
    "Allow": {"description": "The methods of this path.", "required": True, "schema": {"type": "string"}},
    "Vary": {
        "description": "`Origin`, on a route that lists web pages.",
        "schema": {"type": "string", "enum": ["Origin"]},
    },
    "Access-Control-Allow-Origin": {
        "description": "The web page that sends, if the route lists it.",
        "schema": {"type": "string"},
    },
    "Access-Control-Expose-Headers": {
        "description": "The headers that the page may read.",
        "schema": {"type": "string"},
    },
    "Access-Control-Allow-Methods": {"description": "What the page may do.", "schema": {"type": "string"}},
    "Access-Control-Allow-Headers": {"description": "What the page may send.", "schema": {"type": "string"}},
    "Access-Control-Max-Age": {
        "description": "Seconds for which the page may remember this.",
        "schema": {"type": "integer", "minimum": 1},
    },
}
CORS: Final = ("Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Vary")
"""Of every answer about a route that lists web pages."""


def headers(*names: str) -> dict[str, Any]:
    """These headers, and the one that every answer has."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}
