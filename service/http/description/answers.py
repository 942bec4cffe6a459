"""Answers by status, with headers and examples. One that answers a request's example has its name (`bodies.py`)."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from service.errors import Code
from service.http.answer import JSON, PROBLEM
from service.http.description.headers import CORS, headers
from service.http.description.schemas import ref

Answers = dict[int, dict[str, Any]]

_ID: Final = "01a20cb0-4710-7f7a-b83d-b6e3f253c4a1"


def _problem(status: int, code: Code, detail: str, retryable: bool = False, **members: Any) -> dict[str, Any]:
    return {
        "value": {
            "type": f"urn:penstock:error:{code.value}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "code": code.value,
            "detail": detail,
            "request_id": _ID,
            "retryable": retryable,
            **members,
        }
    }


def _results(*results: dict[str, Any]) -> dict[str, Any]:
    return {
        "value": {
            "request_id": _ID,
            "failed": sum(each["status"] not in ("delivered", "stored") for each in results),
            "retryable": sum(each["retryable"] for each in results),
            "results": [{"index": index, **each} for index, each in enumerate(results)],
        }
    }


def _delivered(id: str, status: str = "delivered") -> dict[str, Any]:
    return {"id": id, "status": status, "retryable": False}


_NEGATIVE: Final = "#/amount: -1 is less than the minimum of 0 (and 1 more)"
_INVALID: Final[dict[str, Any]] = {
    "id": "o-3",
    "status": "invalid",
    "retryable": False,
    "error": {
        "code": Code.SCHEMA_VIOLATION.value,
        "detail": _NEGATIVE,
        "errors": [
            {"pointer": "#/amount", "keyword": "minimum", "detail": "-1 is less than the minimum of 0"},
            {"pointer": "#/customer", "keyword": "required", "detail": '"id" is a required property'},
        ],
    },
}
_STRICT: Final[dict[str, Any]] = {
    "id": "o-1",
    "status": "failed",
    "retryable": True,
    "error": {
        "code": Code.STRICT_REFUSED.value,
        "detail": "not taken, because another event of the request is invalid; send it without that one",
    },
}
_AWAY: Final[dict[str, Any]] = {
    "id": "o-1",
    "status": "failed",
    "retryable": True,
    "may_duplicate": True,
    "sinks": {"lake": "failed", "mirror": "delivered"},
    "error": {"code": Code.NOT_DELIVERED.value, "detail": "sink 'lake': unavailable"},
}
_REFUSED: Final[dict[str, Any]] = {
    "id": "o-1",
    "status": "rejected",
    "retryable": False,
    "error": {
        "code": Code.REJECTED_BY_SINK.value,
        "detail": "sink 'lake': refused_content",
        "dead_lettered": True,
    },
}
_ONE: Final = _results(_delivered("o-1"))
_TWO: Final = _results(_delivered("o-1"), _delivered("o-2"))


def _foreign(status: str, code: Code, detail: str) -> dict[str, Any]:
    return {"id": "e-1", "status": status, "retryable": False, "error": {"code": code.value, "detail": detail}}


def _answer(
    description: str,
    more: Iterable[str] = (),
    results: Mapping[str, Any] | None = None,
    problems: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An answer with results, a problem, or either: as there are examples of them."""
    content = {}
    if results is not None:
        content[JSON] = {"schema": ref("Results" if problems is None else "Outcome"), "examples": results}
    if problems is not None:
        content[PROBLEM] = {"schema": ref("Problem"), **({"examples": problems} if problems else {})}
    return {"description": description, "headers": headers(*more, *CORS), "content": content}


INGEST: Final[Answers] = {
    200: _answer(
        "Every event is at every required sink.",
        ["Preference-Applied"],
        {
            "one": _ONE,
            "many": _TWO,
            "lines": _TWO,
            "compressed": _TWO,
            "jsonl": _TWO,
            "structured": _results(_delivered("e-1")),
            "batch": _results(_delivered("e-1"), _delivered("e-2")),
            "binary": _results(_delivered("e-4")),
            "bytes": _results(_delivered("e-4")),
            "named": _results(_delivered("2f6c-01")),
            "beacon": _ONE,
        },
    ),
    202: _answer(
        "Every event is safe: in the journal, to be delivered, or at every required sink.",
        ["Preference-Applied"],
        {"stored": _results(_delivered("o-1", "stored"))},
    ),
    207: _answer(
        "Mixed: read `results`. Not a success. There is a Retry-After if a retry helps any of them.",
        ["Retry-After", "Preference-Applied"],
        {"mixed": _results(_delivered("o-1"), _INVALID), "away": _results(_AWAY, _INVALID)},
    ),
    400: _answer(
        "The request cannot be read, its headers included.",
        problems={"no_json": _problem(400, Code.MALFORMED_BODY, "not JSON: unexpected end of data")},
    ),
    401: _answer(
        "No credentials, or none that are known.",
        ["WWW-Authenticate"],
        problems={"anonymous": _problem(401, Code.UNAUTHENTICATED, "send an API key")},
    ),
    403: _answer(
        "These credentials may not send to this route; on `/v1/events`, by event.",
        ["Preference-Applied"],
        {"events": _results(_foreign("invalid", Code.FORBIDDEN_ROUTE, "not to route 'orders'"))},
        {"route": _problem(403, Code.FORBIDDEN_ROUTE, "these credentials may not send to route 'orders'")},
    ),
    404: _answer(
        "There is no such route; on `/v1/events`, none for the type of any event.",
        ["Preference-Applied"],
        {"type": _results(_foreign("invalid", Code.NO_ROUTE_FOR_TYPE, "no route takes the type 'com.example.other'"))},
        {"route": _problem(404, Code.UNKNOWN_ROUTE, "there is no route 'order'")},
    ),
    408: _answer(
        "The body did not arrive in time. Nothing was taken.",
        problems={"late": _problem(408, Code.CLIENT_TIMEOUT, "the body did not arrive within 15 s", True)},
    ),
    413: _answer(
        "The body, the batch or every event is too large: see `limit` and `actual`.",
        ["Preference-Applied"],
        {
            "event": _results(
                {
                    "id": None,
                    "status": "invalid",
                    "retryable": False,
                    "error": {
                        "code": Code.EVENT_TOO_LARGE.value,
                        "detail": "the event has 1048580 bytes; at most 1048576 are taken",
                        "limit": 1048576,
                        "actual": 1048580,
                    },
                }
            )
        },
        {
            "batch": _problem(
                413, Code.BATCH_TOO_LARGE, "10001 events; at most 10000 are taken", limit=10000, actual=10001
            )
        },
    ),
    415: _answer(
        "The media type or the content encoding is not taken: see `allowed`.",
        problems={
            "form": _problem(
                415, Code.UNSUPPORTED_MEDIA_TYPE, "Content-Type 'text/csv' is not taken", allowed="application/json"
            )
        },
    ),
    422: _answer(
        "Every event is invalid, or refused by a destination; or one is invalid, with `handling=strict`.",
        ["Preference-Applied"],
        {"invalid": _results(_INVALID), "strict": _results(_STRICT, _INVALID), "refused": _results(_REFUSED)},
    ),
    429: _answer(
        "This producer is over a quota, or holds its share of what is scarce. Nothing was taken. A retry helps.",
        ["Retry-After", "RateLimit", "RateLimit-Policy"],
        problems={
            "quota": _problem(429, Code.OVER_QUOTA, "the quota of your credentials is 500 events a second"),
            "share": _problem(429, Code.OVER_SHARE, "what is not answered yet of yours is your share of sink 'lake'"),
        },
    ),
    500: _answer(
        "A defect of the service. What became of the events is not known, so a retry may duplicate them.",
        problems={"defect": _problem(500, Code.INTERNAL, "a defect of the service", True, may_duplicate=True)},
    ),
    503: _answer(
        "The service's own trouble: full, draining, or a destination away. A retry helps, after `Retry-After`.",
        ["Retry-After", "Preference-Applied"],
        {"away": _results(_AWAY)},
        {"busy": _problem(503, Code.BUSY, "lane 'lake' is full", True)},
    ),
}

PREFLIGHT: Final[Answers] = {
    204: {
        "description": "With the `Access-Control-` headers, the page may post.",
        "headers": headers(
            "Allow",
            *CORS,
            "Access-Control-Allow-Methods",
            "Access-Control-Allow-Headers",
            "Access-Control-Max-Age",
        ),
    },
}


def health(status: str, description: str) -> dict[str, Any]:
    """An answer about health."""
    content = {JSON: {"schema": ref("Health"), "examples": {status: {"value": {"status": status}}}}}
    return {"description": description, "headers": headers(), "content": content}


ELSEWHERE: Final[dict[str, Any]] = {
    "UnknownPath": {
        "description": "There is nothing at this path.",
        "headers": headers(),
        "content": {
            PROBLEM: {"schema": ref("Problem"), "examples": {"path": _problem(404, Code.UNKNOWN_PATH, "nothing")}}
        },
    },
    "MethodNotAllowed": {
        "description": "The path does not take this method.",
        "headers": headers("Allow"),
        "content": {
            PROBLEM: {
                "schema": ref("Problem"),
                "examples": {"method": _problem(405, Code.METHOD_NOT_ALLOWED, "GET is not taken here")},
            }
        },
    },
}
"""Answers to what is no operation: 404 of other paths, 405 of other methods."""
