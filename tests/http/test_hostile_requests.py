"""Requests made to hurt: heads that lie, headers of rubbish, bodies that never come, crowds.

The fixture `service` asserts after every test that the service serves on as before, holding nothing.
"""

import re

import pytest

from tests.http.claims import assert_no_http, assert_problem, assert_retry_after
from tests.http.client import JSON, chunked, head, request
from tests.http.running import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
server: {memory: 40MiB, max_body: 8MiB, body_timeout: 3s, request_timeout: 10s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s, memory: 10MiB}
routes:
  orders: {to: [main], key: "header:x-tenant"}
"""

GOOD = b'{"number":1}'
TYPED = {"Content-Type": JSON}
END = b"0\r\n\r\n"
"""The end of a chunked body."""
BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}


async def test_a_body_shorter_than_it_says_sends_nothing(service: Service) -> None:
    connection = await service.connect()
    await connection.send(head("POST", "/v1/orders", {**TYPED, "Content-Length": "1000"}) + GOOD)
    await service.until(lambda metrics: metrics.total("penstock_http_requests_open") == 1)
    await connection.close()
    await service.idle()
    assert service.sinks["main"].calls == 0


async def test_a_body_longer_than_it_says_ends_the_connection(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", GOOD) + b"and more")
        assert (await connection.answer()).status == 200
        assert (await connection.answer()).status == 400
        assert await connection.ended()
    assert len(service.sinks["main"].taken) == 1


@pytest.mark.parametrize("name", ["ce-id", "ce-source", "ce-tenant", "Idempotency-Key"])
async def test_a_header_that_names_an_event_stands_once(service: Service, name: str) -> None:
    pairs = [(name, "1"), *TYPED.items(), *BINARY.items(), ("Content-Length", str(len(GOOD))), (name, "/2")]
    single = {header.lower(): (header, value) for header, value in pairs}.values()
    twice = [*single, (name, "1")]
    assert_problem(await service.raw(head("POST", "/v1/orders", twice) + GOOD), 400, "malformed_header")
    assert (await service.raw(head("POST", "/v1/orders", single) + GOOD)).status == 200
    assert len(service.sinks["main"].taken) == 1


async def test_other_headers_may_stand_twice(service: Service) -> None:
    pairs = [*TYPED.items(), ("X-Tenant", "a"), ("X-Tenant", "b"), ("Content-Length", str(len(GOOD)))]
    assert (await service.raw(head("POST", "/v1/orders", pairs) + GOOD)).status == 200
    assert [event.key for event in service.sinks["main"].taken] == ["a, b"]


async def test_what_follows_pipelined_requests_and_is_no_http_is_answered_last(service: Service) -> None:
    sink = service.sinks["main"]
    sink.hold()
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", GOOD) * 2 + b"rubbish\r\n\r\n")
        await sink.called()
        sink.deliver()
        assert [(await connection.answer()).status for _ in range(3)] == [200, 200, 400]
        assert await connection.ended()
    assert len(sink.taken) == 2


@pytest.mark.parametrize("framing", ["x\r\n", '5\r\n{"a":1}\r\n', "fffffffffffffffff\r\n"])
async def test_400_for_a_chunk_that_lies_about_its_length(service: Service, framing: str) -> None:
    start = head("POST", "/v1/orders", {**TYPED, "Transfer-Encoding": "chunked"})
    async with await service.connect() as connection:
        await connection.send(start)
        await service.until(lambda metrics: metrics.total("penstock_http_requests_open") == 1)
        await connection.send(framing.encode())
        assert_no_http(await connection.answer())
        assert await connection.ended()
    assert service.sinks["main"].calls == 0


async def test_400_for_an_upgrade_which_would_lose_the_body(service: Service) -> None:
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", GOOD, headers))
        answer = await connection.answer()
        assert_problem(answer, 400, "malformed_header")
        assert "HTTP_1_1" in answer.json["detail"]


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "12, 12", "12 12", "", "99999999999999999999999999"])
async def test_400_for_a_content_length_that_is_none(service: Service, length: str) -> None:
    async with await service.connect() as connection:
        await connection.send(head("POST", "/v1/orders", {**TYPED, "Content-Length": length}) + GOOD)
        assert (await connection.answer()).status == 400
        assert await connection.ended()
    assert service.sinks["main"].calls == 0


@pytest.mark.parametrize(
    "framing",
    [
        [("Content-Length", "12"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "chunked"), ("Content-Length", "12")],
        [("Content-Length", "12"), ("Content-Length", "13")],
        [("Content-Length", "12"), ("Content-Length", "12")],
        [("Transfer-Encoding", "chunked, identity")],
        [("Transfer-Encoding", "xchunked")],
    ],
)
async def test_400_for_a_body_whose_end_two_readers_see_differently(
    service: Service, framing: list[tuple[str, str]]
) -> None:
    # RFC 9112 section 6.3: what is smuggled behind such a body must not become a request
    smuggled = request("/v1/orders", b'{"smuggled":1}')
    async with await service.connect() as connection:
        await connection.send(head("POST", "/v1/orders", [*TYPED.items(), *framing]) + chunked([GOOD]) + smuggled)
        assert (await connection.answer()).status == 400
        assert await connection.ended()
    assert not any(b"smuggled" in event.body for event in service.sinks["main"].taken)


@pytest.mark.parametrize(
    "rubbish",
    [
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"POST /v1/orders HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_400_for_a_head_that_is_no_http(service: Service, rubbish: bytes) -> None:
    async with await service.connect() as connection:
        await connection.send(rubbish)
        assert (await connection.answer()).status == 400
        assert await connection.ended()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Idempotency-Key": "k" * 256}, "malformed_header"),
        ({"Idempotency-Key": "k" * 16_000}, "malformed_header"),
        ({"Idempotency-Key": ""}, "malformed_header"),
        ({"Idempotency-Key": '""'}, "malformed_header"),
        ({"Idempotency-Key": "caf\xe9"}, "malformed_header"),
        ({"Content-Type": "json"}, "malformed_header"),
        ({"Content-Type": "application/json; charset"}, "malformed_header"),
        ({"Content-Type": "application/json, application/json"}, "malformed_header"),
        ({"Content-Type": "\xff/\xfe"}, "malformed_header"),
    ],
)
async def test_400_names_the_header_that_cannot_be_read(service: Service, headers: dict[str, str], code: str) -> None:
    answer = await service.post("/v1/orders", GOOD, {**TYPED, **headers}, content_type="")
    assert_problem(answer, 400, code)
    assert next(iter(headers)) in answer.json["detail"]


async def test_a_content_type_given_twice_cannot_be_read(service: Service) -> None:
    fields = [("Content-Type", JSON), ("Content-Type", "text/plain"), ("Content-Length", str(len(GOOD)))]
    assert_problem(await service.raw(head("POST", "/v1/orders", fields) + GOOD), 400, "malformed_header")


@pytest.mark.parametrize(
    "header",
    [
        {"ce-subject": "%ff"},
        {"ce-subject": "\xff"},
        {"ce-subject": "%00"},
        {"ce-time": "now"},
        {"ce-specversion": "2.0"},
        {"ce-id": ""},
        {"ce-data": "x"},
        {"ce-a_b": "x"},
        {"ce-source": "a b"},
        {"ce-id": "i" * 2000},
    ],
)
async def test_an_envelope_of_rubbish_is_an_invalid_event(service: Service, header: dict[str, str]) -> None:
    answer = await service.post("/v1/orders", GOOD, {**BINARY, **header})
    assert (answer.status, answer.code) == (422, "invalid_cloudevent")
    [name] = header
    assert [error["pointer"] for error in answer.results[0]["error"]["errors"]] == [f"#/{name[3:]}"]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"X-Request-Id": "a\x7fb"}, 400),
        ({"X-Request-Id": "a\xe9b"}, 200),
        ({"X-Request-Id": "a\tb"}, 200),
        ({"Origin": "\xff"}, 200),
    ],
)
async def test_what_no_header_of_ours_may_hold_does_not_come_back_in_one(
    service: Service, header: dict[str, str], status: int
) -> None:
    answer = await service.post("/v1/orders", GOOD, header)
    assert answer.status == status
    [sent] = header.values()
    assert not [value for value in answer.headers.values() if sent in value]
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])


async def test_a_key_from_a_header_too_long_for_any_sink_is_an_invalid_event(service: Service) -> None:
    answer = await service.post("/v1/orders", GOOD, {"X-Tenant": "t" * 10_000})
    assert (answer.status, answer.code) == (422, "invalid_key")


async def test_bodies_together_above_the_memory_for_them_are_503(service: Service) -> None:
    start = head("POST", "/v1/orders", {**TYPED, "Content-Length": str(15 * 2**19)})
    async with await service.connect() as first, await service.connect() as second:
        await first.send(start)
        await second.send(start)
        await service.until(lambda metrics: metrics.total("penstock_http_body_bytes") == 15 * 2**20)
        answer = await service.post("/v1/orders", GOOD)
        assert_problem(answer, 503, "busy")
        assert_retry_after(answer)
        for connection in (first, second):
            assert_problem(await connection.answer(), 408, "client_timeout")


async def test_bodies_that_do_not_say_their_size_are_counted_as_they_come(service: Service) -> None:
    start = head("POST", "/v1/orders", {**TYPED, "Transfer-Encoding": "chunked"})
    piece = b"%x\r\n%b\r\n" % (2**20, b" " * 2**20)
    async with await service.connect() as first, await service.connect() as second:
        for connection in (first, second):
            await connection.send(start + piece * 7)
        await service.until(lambda metrics: metrics.total("penstock_http_body_bytes") == 14 * 2**20)
        answer = await service.raw(start + piece * 3 + b"0\r\n\r\n")
        assert_problem(answer, 503, "busy")


async def test_a_body_in_single_bytes_is_charged_no_more_than_its_size(service: Service) -> None:
    pieces = chunked([bytes((byte,)) for byte in b'{"x":"' + b"y" * 20_000 + b'"}'])
    async with await service.connect() as connection:
        await connection.send(head("POST", "/v1/orders", {**TYPED, "Transfer-Encoding": "chunked"}))
        await connection.send(pieces.removesuffix(END))
        await service.until(lambda metrics: metrics.total("penstock_http_body_bytes") >= 20_008)
        for _ in range(3):
            assert (await service.metrics()).total("penstock_http_body_bytes") == 20_008
        await connection.send(END)
        assert (await connection.answer()).status == 200
    assert len(service.sinks["main"].taken[0].body) == 20_008
