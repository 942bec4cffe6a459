"""The benchmark's events: CloudEvents of 889 bytes, alone and by the hundred, and the schema of their data."""

import json
from typing import Any, Final

MANY = 100

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


def event(number: int) -> bytes:
    """One structured CloudEvent of 889 bytes."""
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
            "items": [{"sku": f"A-{n}", "qty": n, "price": 9.99 * n, "name": f"Product name {n}"} for n in range(5)],
            "total": 149.85,
            "currency": "EUR",
            "notes": "",
        },
    }
    content["data"]["notes"] = "x" * (889 - len(json.dumps(content, separators=(",", ":"))))  # type: ignore[index]
    return json.dumps(content, separators=(",", ":")).encode()


EVENTS: Final = [event(number) for number in range(MANY)]
ARRAY: Final = b"[" + b",".join(EVENTS) + b"]"
LINES: Final = b"\n".join(EVENTS)
