"""Amazon Data Firehose as a client: its requests, and what it demands of an answer."""

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.http.client import Answer, request
from tests.http.running import Service

KEY = "correct-horse-battery-staple"
PATH = "/firehose/stream"
ID = "ed4acda5-034f-9f42-bba1-f29aea6d7d8f"
GOLDEN = b"""{
    "requestId": "ed4acda5-034f-9f42-bba1-f29aea6d7d8f",
    "timestamp": 1578090901599,
    "records": [
        {
            "data": "aGVsbG8="
        },
        {
            "data": "aGVsbG8gd29ybGQ="
        }
    ]
}"""
"""The body that the documentation of the protocol shows."""
SOURCE = "type: firehose, codec: json, access_keys: [correct-horse-battery-staple]"
SMALL = "max_body: 4MiB, memory: 16MiB"
CONFIGURATION = f"""
server: {{memory: 48MiB, request_timeout: 8s, drain_timeout: 500ms}}
sinks:
  main: {{type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}}
  dead: {{type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s, largest: 2MiB}}
routes:
  orders: {{to: [main], dead_letter: dead}}
  tenants: {{to: [main], dead_letter: dead, key: "header:x-tenant"}}
sources:
  stream: {{{SOURCE}, {SMALL}, route: orders}}
  tenants: {{{SOURCE}, {SMALL}, route: tenants}}
  typed: {{{SOURCE}, {SMALL}, route: events, dead_letter: dead}}
  once: {{{SOURCE}, {SMALL}, route: orders, dedupe: {{}}}}
"""
"""A service with several sources."""


def numbered(numbers: Iterable[int]) -> list[bytes]:
    """An event for each number."""
    return [b'{"number":%d}' % number for number in numbers]


def body(records: Iterable[bytes], request_id: str = ID) -> bytes:
    """A request's body."""
    encoded = [{"data": base64.b64encode(record).decode()} for record in records]
    return json.dumps({"requestId": request_id, "timestamp": 1578090901599, "records": encoded}).encode()


def headers(request_id: str = ID, key: str | None = KEY, **common: str) -> dict[str, str]:
    """A request's headers beside its type and length."""
    found = {
        "X-Amz-Firehose-Protocol-Version": "1.0",
        "X-Amz-Firehose-Request-Id": request_id,
        "X-Amz-Firehose-Source-Arn": "arn:aws:firehose:us-east-1:123456789012:deliverystream/testStream",
        "User-Agent": "Amazon Kinesis Data Firehose Agent/1.0",
    }
    if key is not None:
        found["X-Amz-Firehose-Access-Key"] = key
    if common:
        found["X-Amz-Firehose-Common-Attributes"] = json.dumps({"commonAttributes": common})
    return found


def whole(content: bytes, more: Mapping[str, str] | None = None, path: str = PATH) -> bytes:
    """The bytes of a request with this body."""
    return request(path, content, headers() | dict(more or {}))


async def sent(service: Service, records: Iterable[bytes], request_id: str = ID, path: str = PATH) -> Answer:
    """The answer to a request with these records."""
    return await service.post(path, body(records, request_id), headers(request_id))


def zipped(content: bytes) -> bytes:
    """As a stream with GZIP content encoding sends it."""
    return gzip.compress(content)


def assert_form(answer: Answer, status: int, request_id: str = ID) -> dict[str, Any]:
    """The form of every answer, as Firehose demands it. Returns the body."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.body) < 2**20
    found: dict[str, Any] = answer.json
    assert found["requestId"] == request_id
    assert isinstance(found["timestamp"], int)
    assert found.keys() - {"requestId", "timestamp"} == (set() if status == 200 else {"errorMessage"})
    assert 0 < len(found.get("errorMessage", "-")) <= 8192
    return found


def numbers(service: Service, sink: str = "main") -> list[int]:
    """Of what has arrived, in order."""
    return [json.loads(event.body)["number"] for event in service.sinks[sink].taken]


def letters(service: Service) -> list[dict[str, object]]:
    """The dead letters that have arrived."""
    return [json.loads(event.body) for event in service.sinks["dead"].taken]
