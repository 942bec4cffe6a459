"""Headers of requests. An example has the name of the body's example that it goes with (`bodies.py`)."""

from collections.abc import Mapping
from typing import Any, Final

from service.delivery.route import RESERVED_ROUTE

ROUTE: Final = f"A route's name, or `{RESERVED_ROUTE}` to find the route of each CloudEvent by its type."
ROUTES: Final = {
    "one": "orders",
    "many": "orders",
    "structured": RESERVED_ROUTE,
    "batch": RESERVED_ROUTE,
    "binary": RESERVED_ROUTE,
    "bytes": "files",
    "named": "notes",
    "stored": "audit",
}
"""Of an example that is not here: `orders`."""

_CE: Final = ("binary", "bytes")
"""Examples in binary mode."""


def _header(name: str, description: str, schema: Mapping[str, Any], **examples: str) -> dict[str, Any]:
    made = {"name": name, "in": "header", "description": description, "schema": {"type": "string", **schema}}
    if examples:
        made["examples"] = {each: {"value": value} for each, value in examples.items()}
    return made


def _ce(name: str, description: str, value: str, **schema: Any) -> dict[str, Any]:
    schema.setdefault("minLength", 1)
    return _header(f"ce-{name}", f"Binary mode: {description}", schema, **dict.fromkeys(_CE, value))


REQUEST_ID: Final = _header(
    "X-Request-Id",
    "The answer has it too, if it is a plain one: at most 128 of `A-Z a-z 0-9 . _ : / + = -`. Else it gets a new one.",
    {},
    one="checkout-7/1",
)

PARAMETERS: Final[list[dict[str, Any]]] = [
    _header(
        "Prefer",
        "`handling=strict`: one invalid event refuses all. `return=minimal`: only events that are not safe are listed. "
        "Others are ignored.",
        {},
        strict="handling=strict, return=minimal",
    ),
    _header(
        "Idempotency-Key",
        "Names events that have no id of their own, so that a retry is the same event; in a batch, key/index. Answers "
        "are not replayed.",
        {"minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$"},
        named="2f6c-01",
    ),
    REQUEST_ID,
    _header(
        "Content-Encoding",
        "How the body is compressed: once, or not at all.",
        {"enum": ["gzip", "zstd"]},
        compressed="gzip",
    ),
    _header(
        "traceparent",
        "W3C Trace Context; goes on with the events. What is not sound is ignored.",
        {},
        one="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
    _header("tracestate", "Beside `traceparent`.", {}, one="vendor=1"),
    _header(
        "Origin", "The web page that sends; see `Access-Control-Allow-Origin`.", {}, beacon="https://shop.example.com"
    ),
    _ce("specversion", "the version of CloudEvents.", "1.0", enum=["1.0"]),
    _ce("id", "with `ce-source`, the event's identity.", "e-4"),
    _ce("source", "a URI reference: where it happened.", "/shop/web"),
    _ce("type", "on `/v1/events`, what its route is found by.", "com.example.order.placed"),
    _ce("subject", "what it is about. Values are percent-encoded UTF-8, here as in all of these.", "o-1"),
    _ce("time", "when it happened (RFC 3339).", "2026-03-01T09:30:00Z"),
    _header("ce-dataschema", "Binary mode: a URI of the data's schema.", {"minLength": 1, "format": "uri"}),
]

PREFLIGHT: Final[list[dict[str, Any]]] = [
    _header("Origin", "The web page that asks.", {}, preflight="https://shop.example.com"),
    _header("Access-Control-Request-Method", "What it wants to do.", {}, preflight="POST"),
    _header("Access-Control-Request-Headers", "The headers it wants to send.", {}, preflight="content-type"),
]
