"""What the API's own documentation says of each operation; `openapi.yaml` is written from it."""

from typing import Any

import yaml
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.http.answer import Status

DESCRIPTION = """Takes events, validates each one, fans it out, and says of every single event what became of it.

**200 says that every event is delivered, 202 that every event is delivered or stored; no other answer says that all are
safe.** 207 is not a success: read `results`.
Retry what has `retryable: true`, after `Retry-After`; keep the event's id, so that consumers can drop duplicates.
"""

_HERE = (Status.INVALID, Status.STORED)
"""What is said of an event before it is on its way to a sink."""

_RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["index", "id", "status", "retryable"],
    "properties": {
        "index": {"type": "integer", "description": "Position in the request, from 0."},
        "id": {"type": ["string", "null"], "description": "The event's id; null if none could be read."},
        "status": {
            "enum": [each.value for each in Status],
            "description": "stored: safe here, delivered later. invalid: refused here. rejected: refused by a "
            "destination. failed: not delivered. unknown: perhaps delivered.",
        },
        "retryable": {"type": "boolean", "description": "Whether sending this event again can help."},
        "may_duplicate": {"type": "boolean", "description": "Some destination has, or may have, the event already."},
        "sinks": {
            "type": "object",
            "additionalProperties": {"enum": [each.value for each in Status if each not in _HERE]},
            "description": "By required sink, when their fates differ.",
        },
        "error": {
            "type": "object",
            "required": ["code", "detail"],
            "properties": {
                "code": {"type": "string", "description": "Stable; see docs/errors.md."},
                "detail": {"type": "string"},
                "dead_lettered": {"type": "boolean", "description": "A copy is safe among the dead letters."},
                "errors": {
                    "type": "array",
                    "maxItems": 10,
                    "items": {
                        "type": "object",
                        "required": ["pointer", "keyword", "detail"],
                        "properties": {
                            "pointer": {"type": "string", "examples": ["#/customer/id"]},
                            "keyword": {"type": "string"},
                            "detail": {"type": "string"},
                        },
                    },
                },
            },
        },
    },
}

_RESULTS: dict[str, Any] = {
    "type": "object",
    "required": ["request_id", "failed", "retryable", "results"],
    "properties": {
        "request_id": {"type": "string"},
        "failed": {"type": "integer", "description": "Events that are not safe."},
        "retryable": {"type": "integer", "description": "Events of those for which a retry can help."},
        "results": {"type": "array", "items": _RESULT},
    },
}

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "retryable": {"type": "boolean"},
    },
}

_HEALTH: dict[str, Any] = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
_RETRY = {"Retry-After": {"description": "Whole seconds.", "schema": {"type": "integer", "minimum": 1}}}
_LIMIT = {
    name: {"description": f"{text} (draft-ietf-httpapi-ratelimit-headers)", "schema": {"type": "string"}}
    for name, text in (("RateLimit", "Over a quota: when it has room."), ("RateLimit-Policy", "And what it is."))
}
_EVENT = {"type": "object", "description": "One event."}
_EVENTS = {"type": "array", "items": _EVENT, "minItems": 1}
_LINES = {"type": "string", "description": "One event a line."}
_CONTENT = {
    "application/json": {"schema": {"oneOf": [_EVENT, _EVENTS]}},
    "application/x-ndjson": {"schema": _LINES},
    "application/jsonl": {"schema": _LINES},
    "application/cloudevents+json": {"schema": _EVENT},
    "application/cloudevents-batch+json": {"schema": _EVENTS},
}


def _results(description: str, **more: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _RESULTS}}, **more}


def _problem(description: str, **more: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": _PROBLEM}}, **more}


def _either(description: str, **more: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": _RESULTS}, "application/problem+json": {"schema": _PROBLEM}}
    return {"description": description, "content": content, **more}


INGEST: dict[str, Any] = {
    "operation_id": "ingest",
    "summary": "Send one event or many",
    "tags": ["events"],
    "responses": {
        200: _results("Every event is at every required sink."),
        202: _results("Every event is safe: in the journal, to be delivered, or at every required sink."),
        207: _results("Mixed: read `results`. Not a success.", headers=_RETRY),
        400: _problem("The request cannot be read."),
        401: _problem("No, or unknown, credentials."),
        403: _either("These credentials may not send to this route."),
        404: _either("There is no such route, or none for this type."),
        408: _problem("The body did not arrive in time. Nothing was taken."),
        413: _either("The body, the batch or the event is too large: see `limit` and `actual`."),
        415: _problem("The media type or content encoding is not taken."),
        422: _results("Every event is invalid, or refused by a destination; or one is, with `handling=strict`."),
        429: _problem(
            "The producer is over a quota, or holds its share of what is scarce. Nothing was taken. A retry helps, "
            "after `Retry-After`.",
            headers=_RETRY | _LIMIT,
        ),
        500: _problem("A defect of ours; what became of the events is not known, so a retry may duplicate."),
        503: _either("Our own trouble. A retry helps, after `Retry-After`.", headers=_RETRY),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "description": "JSON object or array, lines of JSON, or CloudEvents (structured, batch, or binary with "
            "`ce-*` headers and any content type). `Content-Encoding: gzip` and `zstd` are taken.",
            "content": _CONTENT,
        },
        "parameters": [
            {
                "name": "Prefer",
                "in": "header",
                "schema": {"type": "string"},
                "description": "`handling=strict`: one invalid event refuses all. "
                "`return=minimal`: only events that are not safe are listed.",
            },
            {
                "name": "Idempotency-Key",
                "in": "header",
                "schema": {"type": "string", "maxLength": 255},
                "description": "Names events that have no id of their own; in a batch, key/index.",
            },
            {"name": "X-Request-Id", "in": "header", "schema": {"type": "string", "maxLength": 128}},
        ],
        "security": [{}, {"bearer": []}, {"apiKey": []}],
    },
}

LIVEZ: dict[str, Any] = {
    "operation_id": "livez",
    "summary": "Whether the process lives",
    "tags": ["health"],
    "responses": {200: {"description": "It does.", "content": {"application/json": {"schema": _HEALTH}}}},
}

READYZ: dict[str, Any] = {
    "operation_id": "readyz",
    "summary": "Whether this replica should get requests",
    "tags": ["health"],
    "responses": {
        200: {"description": "ready, or degraded.", "content": {"application/json": {"schema": _HEALTH}}},
        503: {
            "description": "starting, draining, or a journal that cannot be used.",
            "content": {"application/json": {"schema": _HEALTH}},
        },
    },
}

SECURITY: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}


def described(api: FastAPI) -> dict[str, Any]:
    """The application's own description, with what FastAPI cannot know of it."""
    if api.openapi_schema is None:
        content = get_openapi(title=api.title, version=api.version, description=api.description, routes=api.routes)
        content.setdefault("components", {})["securitySchemes"] = SECURITY
        api.openapi_schema = content
    return api.openapi_schema


def as_yaml(api: FastAPI) -> str:
    """The text of `openapi.yaml`."""
    return yaml.safe_dump(api.openapi(), sort_keys=False, allow_unicode=True, width=120)
