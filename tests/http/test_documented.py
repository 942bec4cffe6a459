"""openapi.yaml is true: its examples are answered as it says, and so is whatever else can be provoked."""

import gzip
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from service.auth.keys import new_key
from service.outcome import Reason
from tests.http.client import Answer, head, request
from tests.http.documented import Document, Example
from tests.http.running import Service, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT = Document.checked_in()
EXAMPLES = list(DOCUMENT.examples())
SCHEMA = """{
  "type": "object", "required": ["order", "customer"],
  "properties": {
    "order": {"type": "string"}, "amount": {"type": "number", "minimum": 0},
    "customer": {"type": "object", "required": ["id"]}
  }
}"""
FILES = {"order.schema.json": SCHEMA}
SINK = "tests.http.scripted:Scripted"
ROUTES = f"""
sinks:
  main: {{type: {SINK}, patience: 500ms, call_timeout: 200ms, concurrency: 8}}
  dead: {{type: {SINK}, patience: 500ms, call_timeout: 200ms}}
routes:
  notes: {{to: [main]}}
  orders:
    types: ["com.example.order.*"]
    schema: {{type: jsonschema, file: order.schema.json}}
    id: /order
    to: [main]
    cors: ["https://shop.example.com"]
    max_event: 4KiB
    dead_letter: dead
  files: {{to: [main]}}
"""
CONFIGURATION = f"""
server: {{request_timeout: 5s, body_timeout: 300ms, max_body: 64KiB, max_events: 10}}
{ROUTES}
sources:
  lake: {{type: firehose, route: orders, codec: json, max_body: 64KiB, max_message: 64KiB}}
"""
INGEST = DOCUMENT.answers("/v1/{route}", "post")
ORDER = b'{"order":"o-1","customer":{"id":"c-7"}}'

provoked: set[int] = set()
"""Statuses of the ingest operation that were seen here."""


def _named(example: Example) -> str:
    return f"{example.method} {example.path} {example.name}"


def _judged(answer: Answer, path: str = "/v1/{route}", method: str = "post") -> int:
    """The status of an answer, which is one of those that are described."""
    described = DOCUMENT.answers(path, method)
    assert answer.status in described, answer
    DOCUMENT.judge(answer, described[answer.status])
    if path == "/v1/{route}" and method == "post":
        provoked.add(answer.status)
    return answer.status


def _expected(example: Example) -> list[int]:
    """The statuses that have an answer of the example's name; those without a body if there is none."""
    answers = DOCUMENT.answers(example.path, example.method)
    named = [
        status
        for status, each in answers.items()
        if any(example.name in media.get("examples", {}) for media in each.get("content", {}).values())
    ]
    return named or [min(answers)]


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.name != "stored"], ids=_named)
async def test_a_request_of_the_document_is_answered_as_it_says(example: Example, service: Service) -> None:
    answer = await service.raw(example.request, example.method.upper())
    status = _judged(answer, example.path, example.method)
    assert status == _expected(example)[0], answer
    if example.path == "/v1/{route}" and example.method == "post":
        [said] = [
            each["content"]["application/json"]["examples"][example.name]["value"]
            for number, each in INGEST.items()
            if number == status
        ]
        assert [each["status"] for each in answer.results] == [
            each["status"] for each in said["results"] if _shown(each, example)
        ]
        assert [each["id"] for each in answer.results] == [
            each["id"] for each in said["results"] if _shown(each, example)
        ]


def _shown(result: dict[str, Any], example: Example) -> bool:
    return example.name != "strict" or result["status"] not in ("delivered", "stored")


def _responses() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Where each example of an answer stands, its schema, and it."""
    found = [
        (f"{method} {path} {status}", each)
        for path, method, _ in DOCUMENT.operations()
        for status, each in DOCUMENT.answers(path, method).items()
    ]
    found += list(DOCUMENT.content["components"]["responses"].items())
    for place, answer in found:
        for media, content in answer.get("content", {}).items():
            for name, example in content.get("examples", {}).items():
                yield f"{place} {media} {name}", content["schema"], example["value"]


@pytest.mark.parametrize(("schema", "value"), [pytest.param(s, v, id=place) for place, s, v in _responses()])
async def test_an_answer_of_the_document_is_as_its_schema_says(schema: dict[str, Any], value: Any) -> None:
    assert DOCUMENT.flaws(schema, value) == []


async def test_the_example_of_a_header_is_as_its_schema_says() -> None:
    parameters = [each for _, _, operation in DOCUMENT.operations() for each in operation.get("parameters", ())]
    headers = [*DOCUMENT.content["components"]["headers"].values(), *parameters]
    examples = [
        (each["schema"], value)
        for each in headers
        for value in [*(found["value"] for found in each.get("examples", {}).values()), each.get("example")]
        if value is not None
    ]
    assert len(examples) > 20
    assert [DOCUMENT.flaws(schema, value) for schema, value in examples if DOCUMENT.flaws(schema, value)] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=_named)
async def test_the_body_of_a_request_is_as_its_schema_says(example: Example) -> None:
    content = DOCUMENT.content["paths"][example.path][example.method].get("requestBody", {}).get("content", {})
    for media in content.values():
        if media["examples"].get(example.name, {}).get("value") == example.value:
            assert DOCUMENT.flaws(media["schema"], example.value) == []


async def _late(service: Service) -> Answer:
    async with await service.connect() as connection:
        await connection.send(head("POST", "/v1/orders", {"Content-Type": "application/json", "Content-Length": "9"}))
        return await connection.answer()


def _away(reason: Reason = Reason.UNAVAILABLE) -> Callable[[Service], Awaitable[Answer]]:
    async def ask(service: Service) -> Answer:
        service.sinks["main"].retry(reason)
        return await service.post("/v1/notes", b'{"a":1}')

    return ask


def _post(
    path: str, body: bytes, content_type: str = "application/json", **headers: str
) -> Callable[[Service], Awaitable[Answer]]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda service: service.post(path, body, given, content_type)


async def _refused(service: Service) -> Answer:
    service.sinks["main"].reject()
    return await service.post("/v1/notes", b'{"a":1}')


async def _partly(service: Service) -> Answer:
    service.sinks["main"].retry(when=lambda event: b"2" in event.body)
    return await service.post("/v1/notes", b'[{"a":1},{"a":2}]')


EVENT = b'{"specversion":"1.0","id":"1","source":"/s","type":"%b"}'
STRUCTURED = "application/cloudevents+json"

PROVOKED: dict[str, tuple[int, Callable[[Service], Awaitable[Answer]]]] = {
    "minimal": (200, _post("/v1/orders", ORDER, Prefer="return=minimal")),
    "a page": (200, _post("/v1/orders", ORDER, Origin="https://shop.example.com")),
    "a page that is not listed": (200, _post("/v1/orders", ORDER, Origin="https://other.example.com")),
    "some can be retried": (207, _partly),
    "no JSON": (400, _post("/v1/orders", b"{")),
    "an empty array": (400, _post("/v1/orders", b"[]")),
    "no gzip": (400, _post("/v1/orders", b"{}", Content_Encoding="gzip")),
    "an empty key": (400, _post("/v1/orders", ORDER, Idempotency_Key='""')),
    "an upgrade": (400, _post("/v1/orders", ORDER, Connection="upgrade", Upgrade="h2c")),
    "nesting": (400, _post("/v1/orders", b"[" * 5000)),
    "no route": (404, _post("/v1/nowhere", ORDER)),
    "no route for a type": (404, _post("/v1/events", EVENT % b"com.example.other", STRUCTURED)),
    "no type": (404, _post("/v1/events", ORDER)),
    "a slow body": (408, _late),
    "a large body": (413, _post("/v1/orders", b" " * 70_000)),
    "a large event": (413, _post("/v1/orders", b'{"a":"' + b"b" * 5000 + b'"}')),
    "a large batch": (413, _post("/v1/orders", b"[" + b",".join([ORDER] * 11) + b"]")),
    "a bomb": (413, _post("/v1/orders", gzip.compress(b" " * 40_000_000, 9), Content_Encoding="gzip")),
    "a form": (415, _post("/v1/orders", b"a=b", "application/x-www-form-urlencoded")),
    "an encoding": (415, _post("/v1/orders", ORDER, Content_Encoding="br")),
    "no media type": (415, _post("/v1/orders", ORDER, "")),
    "a broken schema": (422, _post("/v1/orders", b'{"order":1}')),
    "a number": (422, _post("/v1/orders", b"1")),
    "a wrong CloudEvent": (422, _post("/v1/events", b'{"specversion":"2.0"}', STRUCTURED)),
    "a refusal": (422, _refused),
    "a destination that is away": (503, _away()),
}


@pytest.mark.parametrize("name", PROVOKED)
async def test_what_can_be_provoked_is_described(name: str, service: Service) -> None:
    status, ask = PROVOKED[name]
    assert _judged(await ask(service)) == status


async def test_what_is_no_operation_is_described(service: Service) -> None:
    other = await service.raw(request("/", b"{}"))
    assert other.status == 404
    DOCUMENT.judge(other, DOCUMENT.elsewhere("UnknownPath"))
    for path in ("/v1/orders", "/livez", "/readyz", "/firehose/lake"):
        wrong = await service.raw(head("PUT", path, {"Content-Length": "0"}), "PUT")
        assert wrong.status == 405
        DOCUMENT.judge(wrong, DOCUMENT.elsewhere("MethodNotAllowed"))
    assert _judged(await service.raw(request("/firehose/lake", b"{}")), "/firehose/{source}", "post") == 400


async def test_answers_of_a_service_that_is_stored_to_closed_or_at_its_end_are_described(tmp_path: Any) -> None:
    pepper = "0123456789abcdef" * 2
    key, digest = new_key("shop", pepper.encode())
    keys = f"keys: [{{name: shop, hmac_sha256: {digest}, routes: [notes]}}]"
    text = f"""
server: {{auth: {{keys_file: keys.yaml, pepper_file: pepper}}, deregister_delay: 300ms}}
journal: {{path: {tmp_path}/journal, volume: ephemeral}}
{ROUTES}
  audit: {{id: /order, ack: stored, to: [main], dead_letter: dead}}
"""
    bearer = {"Authorization": f"Bearer {key}"}
    async with running(
        text.replace("[notes]", "[notes, audit]"),
        FILES | {"keys.yaml": keys.replace("[notes]", "[notes, audit]"), "pepper": pepper},
    ) as service:
        assert _judged(await service.post("/v1/notes", b'{"a":1}')) == 401
        assert _judged(await service.post("/v1/notes", b'{"a":1}', bearer)) == 200
        assert _judged(await service.post("/v1/orders", ORDER, bearer)) == 403
        events = EVENT % b"com.example.order.placed"
        assert _judged(await service.post("/v1/events", events, bearer, STRUCTURED)) == 403
        [stored] = [each for each in EXAMPLES if each.name == "stored"]
        signed = stored.request.replace(b"\r\n\r\n", f"\r\nX-Api-Key: {key}\r\n\r\n".encode(), 1)
        assert _judged(await service.raw(signed)) == 202
    limited = f"{ROUTES}\nquotas: {{routes: {{notes: {{events_per_second: 1, burst: 1s}}}}}}\n"
    async with running(limited, FILES) as service:
        statuses = {_judged(await service.post("/v1/notes", b'[{"a":1},{"a":2},{"a":3}]')) for _ in range(2)}
        assert statuses == {200, 429}
    assert set(INGEST) - provoked == {500}, "a defect is not wanted"


async def test_the_running_service_describes_the_sources_that_it_has(service: Service) -> None:
    answer = await service.raw(head("GET", "/openapi.json", {}), "GET")
    described = answer.json["paths"]
    assert "/firehose/lake" in described
    assert described["/firehose/lake"]["post"]["operationId"] == "firehose_lake"
    assert described["/v1/{route}"] == DOCUMENT.content["paths"]["/v1/{route}"]
