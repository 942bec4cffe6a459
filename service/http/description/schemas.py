"""The shapes of bodies and answers, in the JSON Schema of OpenAPI 3.1. Their names are classes of generated clients."""

from typing import Any, Final

from service.errors import Code
from service.http.answer import Status

_HERE = (Status.INVALID, Status.STORED)
"""What is said of an event before it is on its way to a sink."""
_PROBLEM_TYPE = "^urn:penstock:error:[a-z_]+$"

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """The schema of this name, wherever it stands."""
    return {"$ref": f"#/components/schemas/{name}"}


EVENT: Final[Schema] = {
    "type": "object",
    "description": "One event: any JSON object, as far as the route's schema takes it.",
    "additionalProperties": True,
}

CLOUD_EVENT: Final[Schema] = {
    "type": "object",
    "description": "A CloudEvent 1.0. Extension attributes stand beside those named here: a lower-case name, and a "
    "string, boolean or integer.",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"type": "string", "enum": ["1.0"]},
        "id": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "With `source`, its identity."},
        "source": {"type": "string", "minLength": 1, "description": "A URI reference: where it happened."},
        "type": {"type": "string", "minLength": 1, "description": "On `/v1/events`, what its route is found by."},
        "subject": {"type": "string", "minLength": 1},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"type": "string", "description": "Absent: JSON."},
        "dataschema": {"type": "string", "format": "uri"},
        "data": {"description": "Any JSON, or text if `datacontenttype` is not JSON."},
        "data_base64": {"type": "string", "description": "Bytes, in place of `data`."},
    },
    "additionalProperties": True,
}

LINES: Final[Schema] = {"type": "string", "description": "JSON objects, one event a line. Blank lines are passed over."}

ERROR_CODE: Final[Schema] = {
    "type": "string",
    "enum": [each.value for each in Code],
    "description": "What was wrong, for programs: a code never changes its meaning. A later version may have more of "
    "them: take one that is not known by `retryable` and the status.",
}

EVENT_STATUS: Final[Schema] = {
    "type": "string",
    "enum": [each.value for each in Status],
    "description": "What became of an event. delivered: at every required sink. stored: safe here, delivered later. "
    "invalid: refused here. rejected: refused by a destination. failed: not delivered. unknown: perhaps delivered.",
}

SINK_STATUS: Final[Schema] = {
    "type": "string",
    "enum": [each.value for each in Status if each not in _HERE],
    "description": "What became of an event at one sink.",
}

VIOLATION: Final[Schema] = {
    "type": "object",
    "description": "One place in an event that is wrong.",
    "required": ["pointer", "keyword", "detail"],
    "properties": {
        "pointer": {"type": "string", "description": "A JSON Pointer, as a URI fragment.", "examples": ["#/customer"]},
        "keyword": {"type": "string", "description": "What is broken: of a schema, its keyword."},
        "detail": {"type": "string"},
    },
}

_MORE: Final[Schema] = {
    "limit": {"type": "integer", "description": "Of what is too large: the most that is taken."},
    "actual": {"type": "integer", "description": "Of what is too large: how much it is, as far as that is known."},
    "errors": {"type": "array", "maxItems": 10, "items": ref("Violation")},
}

EVENT_ERROR: Final[Schema] = {
    "type": "object",
    "description": "Why an event is not safe.",
    "required": ["code", "detail"],
    "properties": {
        "code": ref("ErrorCode"),
        "detail": {"type": "string", "description": "For people; the text may change."},
        "dead_lettered": {"type": "boolean", "description": "A copy is safe among the dead letters."},
        **_MORE,
    },
}

RESULT: Final[Schema] = {
    "type": "object",
    "description": "What became of one event.",
    "required": ["index", "id", "status", "retryable"],
    "properties": {
        "index": {"type": "integer", "minimum": 0, "description": "Position in the request, from 0."},
        "id": {"type": ["string", "null"], "description": "The event's id; null if none could be read."},
        "status": ref("EventStatus"),
        "retryable": {"type": "boolean", "description": "Whether sending this event again can help."},
        "may_duplicate": {"type": "boolean", "description": "Some destination has, or may have, the event already."},
        "sinks": {
            "type": "object",
            "additionalProperties": ref("SinkStatus"),
            "description": "By required sink, when their fates differ.",
        },
        "error": ref("EventError"),
    },
}

RESULTS: Final[Schema] = {
    "type": "object",
    "description": "What became of the events of a request.",
    "required": ["request_id", "failed", "retryable", "results"],
    "properties": {
        "request_id": {"type": "string"},
        "failed": {"type": "integer", "minimum": 0, "description": "Events that are not safe."},
        "retryable": {"type": "integer", "minimum": 0, "description": "Events of those for which a retry can help."},
        "results": {
            "type": "array",
            "items": ref("Result"),
            "description": "In the order of the request; with `return=minimal` only those that are not safe.",
        },
    },
}

PROBLEM: Final[Schema] = {
    "type": "object",
    "description": "What is wrong with a request as a whole (RFC 9457). Nothing of it was taken, 500 excepted.",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "pattern": _PROBLEM_TYPE, "description": "`urn:penstock:error:` and the code."},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": ref("ErrorCode"),
        "detail": {"type": "string", "description": "For people; the text may change."},
        "request_id": {"type": "string"},
        "retryable": {"type": "boolean", "description": "Whether sending the same again can help."},
        "may_duplicate": {"type": "boolean", "description": "Some destination may have the events already."},
        "allowed": {"type": "string", "description": "What would be taken instead."},
        **_MORE,
    },
}

OUTCOME: Final[Schema] = {
    "description": "Results if events were read, which is `application/json`; else a problem, which is "
    "`application/problem+json`. Of both, so that a generated client that looks at the status alone reads either.",
    "anyOf": [ref("Results"), ref("Problem")],
}

HEALTH: Final[Schema] = {
    "type": "object",
    "description": "Health of a replica.",
    "required": ["status"],
    "properties": {
        "status": {
            "type": "string",
            "description": "alive. ready; degraded: a destination is in trouble, others get their events. starting, "
            "draining, loop_stuck, journal (it cannot be used): not now.",
            "examples": ["ready"],
        }
    },
}

SCHEMAS: Final[dict[str, Schema]] = {
    "CloudEvent": CLOUD_EVENT,
    "ErrorCode": ERROR_CODE,
    "Event": EVENT,
    "EventError": EVENT_ERROR,
    "EventStatus": EVENT_STATUS,
    "Health": HEALTH,
    "Outcome": OUTCOME,
    "Problem": PROBLEM,
    "Result": RESULT,
    "Results": RESULTS,
    "SinkStatus": SINK_STATUS,
    "Violation": VIOLATION,
}
