"""Bodies of requests, each with an example. A header that an example goes with has an example of the same name
(`parameters.py`), and so has the answer to it (`answers.py`)."""

from typing import Any, Final

from service.http.description.schemas import LINES, ref

ORDER: Final = {"order": "o-1", "amount": 12.5, "customer": {"id": "c-7"}}
_MORE: Final = {"order": "o-2", "amount": 3, "customer": {"id": "c-8"}}
_WRONG: Final = {"order": "o-3", "amount": -1, "customer": {}}
_LINES: Final = '{"order":"o-1","customer":{"id":"c-7"}}\n{"order":"o-2","customer":{"id":"c-8"}}\n'
_PLACED: Final = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/shop/web",
    "type": "com.example.order.placed",
    "time": "2026-03-01T09:30:00Z",
    "data": ORDER,
}
_PAID: Final = {
    "specversion": "1.0",
    "id": "e-2",
    "source": "/shop/web",
    "type": "com.example.order.paid",
    "data": _MORE,
}


def _example(summary: str, value: Any) -> dict[str, Any]:
    return {"summary": summary, "value": value}


_OBJECT: Final[dict[str, Any]] = {
    "one": _example("One event.", ORDER),
    "many": _example("Several events, each of which is answered for.", [ORDER, _MORE]),
    "binary": _example("The data of a CloudEvent in binary mode: its attributes are `ce-*` headers.", ORDER),
    "named": _example("An event whose id is the header Idempotency-Key.", {"text": "a note without an id"}),
    "stored": _example("To a route with `ack: stored`.", ORDER),
    "mixed": _example("An event that is taken, and one that is not.", [ORDER, _WRONG]),
    "invalid": _example("An event that breaks the route's schema.", _WRONG),
    "strict": _example("The same with `Prefer: handling=strict`: nothing is taken.", [ORDER, _WRONG]),
}

CONTENT: Final[dict[str, Any]] = {
    "application/json": {
        "schema": {"oneOf": [ref("Event"), {"type": "array", "items": ref("Event"), "minItems": 1}]},
        "examples": _OBJECT,
    },
    "application/x-ndjson": {
        "schema": LINES,
        "examples": {
            "lines": _example("One event a line.", _LINES),
            "compressed": _example("The same lines; what is sent is their gzip.", _LINES),
        },
    },
    "application/jsonl": {"schema": LINES, "examples": {"jsonl": _example("One event a line.", _LINES)}},
    "application/cloudevents+json": {
        "schema": ref("CloudEvent"),
        "examples": {
            "structured": _example(
                "A CloudEvent in structured mode. On `/v1/events` its type finds the route.", _PLACED
            )
        },
    },
    "application/cloudevents-batch+json": {
        "schema": {"type": "array", "items": ref("CloudEvent"), "minItems": 1},
        "examples": {"batch": _example("Several CloudEvents; each finds its own route.", [_PLACED, _PAID])},
    },
    "text/plain": {
        "schema": {"type": "string", "description": "JSON, of a web page that the route's `cors` lists; else 415."},
        "examples": {
            "beacon": _example("What `navigator.sendBeacon` sends.", '{"order":"o-1","customer":{"id":"c-7"}}')
        },
    },
    "*/*": {
        "schema": {"type": "string", "description": "With `ce-*` headers: the data of a CloudEvent in binary mode."},
        "examples": {
            "bytes": _example("Data that is not JSON; Content-Type says what it is.", "id,amount\no-1,12.5\n")
        },
    },
}

BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": "One event or many, in UTF-8: a JSON object or array, lines of JSON, or CloudEvents (structured, "
    "batch, or binary: `ce-*` headers with any content type). All may be compressed (`Content-Encoding`).",
    "content": CONTENT,
}
