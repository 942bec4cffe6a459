"""The benchmark's events: CloudEvents of 889 bytes, the schema of their data, and the requests that carry them."""

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

EVENT_BYTES: Final = 889
LEAST_BYTES: Final = 450
"""Of an event with one item."""
MOST_ITEMS: Final = 5

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["order_id", "customer", "items", "total", "currency"],
    "properties": {
        "order_id": {"type": "string"},
        "customer": {
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "string"},
                "email": {"type": "string"},
                "country": {"type": "string", "maxLength": 2},
            },
        },
        "items": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["sku", "qty"],
                "properties": {
                    "sku": {"type": "string"},
                    "qty": {"type": "integer", "minimum": 0},
                    "price": {"type": "number"},
                },
            },
        },
        "total": {"type": "number", "minimum": 0},
        "currency": {"enum": ["EUR", "USD"]},
    },
}


def event(number: int, size: int = EVENT_BYTES) -> bytes:
    """One structured CloudEvent of `size` bytes, LEAST_BYTES at least; a thousand subjects take turns.

    It has up to five items, as many as there is room for, and then notes.
    """
    for items in range(MOST_ITEMS, 0, -1):
        content = _content(number, items, "")
        room = size - len(content)
        if room >= 0 or items == 1:
            break
    return _content(number, items, "x" * room)


def _content(number: int, items: int, notes: str) -> bytes:
    content = {
        "specversion": "1.0",
        "id": f"6f1c1f0a-3b0e-4b3e-9a51-{number:012d}",
        "source": "/shop/web",
        "type": "com.example.order.created",
        "time": "2026-11-23T06:37:00.123Z",
        "datacontenttype": "application/json",
        "subject": f"order-{number % 1000:03d}",
        "data": {
            "order_id": "o-8271",
            "customer": {"id": "c-91", "email": "a@example.com", "country": "DE"},
            "items": [
                {"sku": f"A-{n}", "qty": n, "price": 9.99 * n, "name": f"Product name {n}"} for n in range(items)
            ],
            "total": 149.85,
            "currency": "EUR",
            "notes": notes,
        },
    }
    return json.dumps(content, separators=(",", ":")).encode()


def array(events: Sequence[bytes]) -> bytes:
    """A JSON array of them: a CloudEvents batch."""
    return b"[" + b",".join(events) + b"]"


def lines(events: Sequence[bytes]) -> bytes:
    """A line each."""
    return b"\n".join(events)


def request(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A whole HTTP/1.1 request."""
    named = {"Host": "127.0.0.1", **headers, "Content-Length": str(len(body))}
    head = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def framed(requests: Sequence[bytes]) -> bytes:
    """Requests as the load generator reads them: each after its length in 4 bytes, big-endian."""
    return b"".join(struct.pack(">I", len(each)) + each for each in requests)
