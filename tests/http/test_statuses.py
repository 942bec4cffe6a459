"""Every status of the HTTP surface, provoked, with its headers and its code."""

import asyncio
import re

import pytest

from service.outcome import Reason
from tests.http.claims import assert_problem, assert_retry_after
from tests.http.client import JSON, chunked, head, request
from tests.http.running import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
server:
  memory: 40MiB
  max_body: 256KiB
  max_decompressed: 512KiB
  max_events: 50
  max_requests: 4
  body_timeout: 300ms
  request_timeout: 10s
  drain_timeout: 1s
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s, memory: 64KiB, largest: 16KiB}
routes:
  orders:
    types: [com.example.order.*]
    schema: {type: jsonschema, file: order.json}
    to: [main]
  plain: {to: [main]}
"""

FILES = {
    "order.json": '{"type": "object", "required": ["number"], "properties": {"number": {"type": "integer"},'
    '"customer": {"type": "object", "properties": {"id": {"type": "string"}}}}}'
}

GOOD = b'{"number":1}'
BAD = b'{"number":"one","customer":{"id":7}}'


async def test_200_says_that_the_event_is_delivered(service: Service) -> None:
    answer = await service.post("/v1/orders", GOOD, {"X-Request-Id": "trace-1"})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == "trace-1"
    assert "retry-after" not in answer.headers
    [event] = service.sinks["main"].taken
    assert event.body == GOOD
    assert answer.json == {
        "request_id": "trace-1",
        "failed": 0,
        "retryable": 0,
        "results": [{"index": 0, "id": event.id, "status": "delivered", "retryable": False}],
    }


async def test_a_request_id_that_is_no_plain_one_is_replaced(service: Service) -> None:
    answer = await service.post("/v1/orders", GOOD, {"X-Request-Id": "a b\x80"})
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])


async def test_207_lists_every_event_in_order_with_retry_after(service: Service) -> None:
    service.sinks["main"].retry(Reason.THROTTLED, when=lambda event: event.body == b'{"number":2}')
    answer = await service.post("/v1/orders", b'[{"number":1},{"number":2},' + BAD + b',{"number":3}]')
    assert answer.status == 207
    assert_retry_after(answer)
    assert (answer.json["failed"], answer.json["retryable"]) == (2, 1)
    results = answer.results
    assert [result["index"] for result in results] == [0, 1, 2, 3]
    assert [result["status"] for result in results] == ["delivered", "failed", "invalid", "delivered"]
    assert [result["retryable"] for result in results] == [False, True, False, False]
    assert results[1]["error"]["code"] == "not_delivered"


async def test_207_without_anything_to_retry_has_no_retry_after(service: Service) -> None:
    answer = await service.post("/v1/orders", b"[" + GOOD + b"," + BAD + b"]")
    assert answer.status == 207
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "empty_body"), (b" \r\n\t", "empty_body"), (b"[]", "empty_body"), (b"[1,", "malformed_body")],
)
async def test_400_for_a_body_that_cannot_be_read(service: Service, body: bytes, code: str) -> None:
    assert_problem(await service.post("/v1/orders", body), 400, code)


async def test_400_for_a_single_body_that_is_not_json(service: Service) -> None:
    assert_problem(await service.post("/v1/orders", b"number=1"), 400, "malformed_body")


async def test_a_bad_line_is_its_own_result(service: Service) -> None:
    answer = await service.post("/v1/orders", GOOD + b"\nnumber=1\n" + GOOD, content_type="application/x-ndjson")
    assert answer.status == 207
    assert [result["status"] for result in answer.results] == ["delivered", "invalid", "delivered"]
    assert answer.results[1]["error"]["code"] == "malformed_event"


async def test_400_for_a_request_that_is_no_http(service: Service) -> None:
    assert (await service.raw(b"HELLO\r\n\r\n")).status == 400


async def test_404_for_an_unknown_route(service: Service) -> None:
    assert_problem(await service.post("/v1/nothing", GOOD), 404, "unknown_route")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1/orders/", "/v1/orders/1", "/v2/orders"])
async def test_404_for_an_unknown_path(service: Service, path: str) -> None:
    assert_problem(await service.post(path, GOOD), 404, "unknown_path")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_405_names_what_is_allowed(service: Service, method: str) -> None:
    answer = await service.raw(head(method, "/v1/orders", {}), method)
    assert answer.headers["allow"] == "POST, OPTIONS"
    if method == "HEAD":
        assert answer.status == 405
    else:
        assert_problem(answer, 405, "method_not_allowed")


async def test_408_for_a_body_that_does_not_arrive(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", GOOD)[:-3])
        answer = await connection.answer()
        assert_problem(answer, 408, "client_timeout")
        assert answer.headers["connection"] == "close"
    assert service.sinks["main"].calls == 0


async def test_413_by_content_length_before_the_body_is_read(service: Service) -> None:
    long = {"Content-Type": "application/json", "Content-Length": str(2**30)}
    answer = await service.raw(head("POST", "/v1/orders", long))
    assert_problem(answer, 413, "body_too_large")
    assert (answer.json["limit"], answer.json["actual"]) == (256 * 1024, 2**30)


async def test_413_for_a_chunked_body_as_soon_as_it_is_too_large(service: Service) -> None:
    start = head("POST", "/v1/orders", {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
    answer = await service.raw(start + chunked([b" " * 65536] * 5))
    assert_problem(answer, 413, "body_too_large")
    assert answer.json["limit"] == 256 * 1024


async def test_413_for_too_many_events(service: Service) -> None:
    answer = await service.post("/v1/orders", b"[" + b",".join([GOOD] * 51) + b"]")
    assert_problem(answer, 413, "batch_too_large")
    assert (answer.json["limit"], answer.json["actual"]) == (50, 51)
    assert service.sinks["main"].calls == 0


async def test_413_for_a_single_event_too_large_for_its_sink(service: Service) -> None:
    answer = await service.post("/v1/plain", b'{"x":"' + b"y" * 16384 + b'"}')
    assert answer.status == 413
    assert answer.code == "event_too_large"
    assert answer.results[0]["retryable"] is False
    assert answer.results[0]["error"]["limit"] == 16384
    assert answer.results[0]["error"]["actual"] == 16384 + 8


async def test_413_for_a_batch_larger_than_an_empty_lane(service: Service) -> None:
    answer = await service.post("/v1/plain", b"[" + b",".join([b'{"x":"' + b"y" * 16000 + b'"}'] * 5) + b"]")
    assert_problem(answer, 413, "batch_too_large")
    assert answer.json["limit"] == 64 * 1024
    assert answer.json["sink"] == "main"
    assert service.sinks["main"].calls == 0


@pytest.mark.parametrize("content_type", ["", "application/xml", "application/cloudevents+xml"])
async def test_415_for_an_unknown_type_names_the_known_ones(service: Service, content_type: str) -> None:
    answer = await service.post("/v1/orders", GOOD, content_type=content_type)
    assert_problem(answer, 415, "unsupported_media_type")
    assert "application/x-ndjson" in answer.json["allowed"]


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]
)
async def test_415_for_what_any_web_page_may_post_says_why(service: Service, content_type: str) -> None:
    answer = await service.post("/v1/orders", GOOD, content_type=content_type)
    assert_problem(answer, 415, "unsupported_media_type")
    assert "any web page" in answer.json["detail"]


async def test_415_for_another_charset(service: Service) -> None:
    answer = await service.post("/v1/orders", GOOD, content_type="application/json; charset=iso-8859-1")
    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
async def test_415_for_an_unknown_encoding(service: Service, encoding: str) -> None:
    answer = await service.post("/v1/orders", GOOD, {"Content-Encoding": encoding})
    assert_problem(answer, 415, "unsupported_encoding")
    assert answer.json["allowed"] == "gzip, zstd"


async def test_422_points_at_each_violation(service: Service) -> None:
    answer = await service.post("/v1/orders", BAD)
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/json"
    [result] = answer.results
    assert (result["status"], result["retryable"]) == ("invalid", False)
    assert result["error"]["code"] == "schema_violation"
    assert {error["pointer"] for error in result["error"]["errors"]} == {"#/number", "#/customer/id"}
    assert {error["keyword"] for error in result["error"]["errors"]} == {"type"}
    assert service.sinks["main"].calls == 0


async def test_503_while_a_lane_is_full(service: Service) -> None:
    sink = service.sinks["main"]
    sink.hold()
    body = b"[" + b",".join([b'{"x":"' + b"y" * 15000 + b'"}'] * 4) + b"]"
    first = asyncio.create_task(service.post("/v1/plain", body))
    await sink.called()
    answer = await service.post("/v1/plain", b'{"x":"' + b"y" * 8000 + b'"}')
    assert_problem(answer, 503, "busy")
    assert_retry_after(answer)
    sink.deliver()
    assert (await first).status == 200


@pytest.mark.parametrize("length", [200, 30_000])
async def test_503_for_a_body_that_has_no_room_in_the_lane_before_it_is_sent(service: Service, length: int) -> None:
    sink = service.sinks["main"]
    sink.hold()
    one = b'{"x":"' + b"y" * 15492 + b'"}'
    full = [asyncio.create_task(service.post("/v1/plain", b"[" + b",".join([one] * 3) + b"]"))]
    await sink.called()
    held = (await service.metrics()).total("penstock_lane_held_bytes")
    rest = 64 * 1024 - held - (held // 3 - len(one)) - 100
    full.append(asyncio.create_task(service.post("/v1/plain", b'{"x":"' + b"y" * (rest - 8) + b'"}')))
    found = await service.until(lambda metrics: metrics.total("penstock_lane_held_bytes") > held)
    assert 0 <= 64 * 1024 - found.total("penstock_lane_held_bytes") < 200
    async with await service.connect() as connection:
        await connection.send(head("POST", "/v1/plain", {"Content-Type": JSON, "Content-Length": str(length)}))
        answer = await connection.answer()
        assert_problem(answer, 503, "busy")
        assert_retry_after(answer)
        sink.deliver()
        assert {(await each).status for each in full} == {200}
        await connection.send(b" " * length)
        await connection.send(request("/v1/plain", GOOD))
        assert (await connection.answer()).status == 200, "what came of the body was dropped, and the connection kept"


async def test_503_when_patience_is_over(service: Service) -> None:
    service.sinks["main"].retry()
    answer = await service.post("/v1/orders", GOOD)
    assert answer.status == 503
    assert_retry_after(answer)
    [result] = answer.results
    assert (result["status"], result["retryable"], result["error"]["code"]) == ("failed", True, "not_delivered")


async def test_503_for_more_requests_than_may_be_open(service: Service) -> None:
    sink = service.sinks["main"]
    sink.hold()
    held = [asyncio.create_task(service.post("/v1/orders", GOOD)) for _ in range(4)]
    await service.until(lambda metrics: metrics.total("penstock_http_requests_open") == 4)
    answer = await service.post("/v1/orders", GOOD)
    assert_problem(answer, 503, "busy")
    assert_retry_after(answer)
    sink.deliver()
    assert [each.status for each in await asyncio.gather(*held)] == [200] * 4
