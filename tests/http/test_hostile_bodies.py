"""Bodies made to hurt: each gets its answer, and the service serves on as before, holding nothing.

The fixture `service` asserts the second half after every test.
"""

import asyncio
import gzip
import json
from contextlib import AsyncExitStack

import pytest
import zstandard

from tests.http.client import JSON, Answer, request
from tests.http.running import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
server: {memory: 144MiB, request_timeout: 10s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s, memory: 24MiB}
  dead: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s, memory: 24MiB}
routes:
  orders: {to: [main], key: /number}
  buried: {to: [main], dead_letter: {sink: dead, invalid: true}}
"""

LINES = "application/x-ndjson"
ENVELOPE = "application/cloudevents+json"
GOOD = b'{"number":1}'
BOMB_BYTES = 2**30


def bomb(encoding: str) -> bytes:
    """1 GiB of blanks in 64 members or frames: about 1 MiB of gzip (it packs no better), 32 KiB of zstd."""
    blanks = b" " * (BOMB_BYTES // 64)
    return (gzip.compress(blanks, mtime=0) if encoding == "gzip" else zstandard.compress(blanks)) * 64


def assert_refused(answer: Answer, status: int, code: str) -> None:
    """The whole request, or its only event, was refused so."""
    assert (answer.status, answer.code) == (status, code), answer.body[:500]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", GOOD),
        ("gzip", gzip.compress(GOOD, mtime=0)[:-9]),
        ("gzip", gzip.compress(GOOD, mtime=0)[:5]),
        ("gzip", gzip.compress(GOOD, mtime=0) + b"tail"),
        ("gzip", gzip.compress(GOOD, mtime=0)[:-8] + b"\0" * 8),
        ("gzip", zstandard.compress(GOOD)),
        ("zstd", zstandard.ZstdCompressor(dict_data=zstandard.ZstdCompressionDict(GOOD * 20)).compress(GOOD)),
        ("zstd", GOOD),
        ("zstd", zstandard.compress(GOOD)[:-1]),
        ("zstd", zstandard.compress(GOOD)[:5]),
        ("zstd", zstandard.compress(GOOD) + b"tail"),
        ("zstd", gzip.compress(GOOD, mtime=0)),
    ],
)
async def test_a_body_that_is_not_what_its_encoding_says_is_400(service: Service, encoding: str, body: bytes) -> None:
    assert_refused(await service.post("/v1/orders", body, {"Content-Encoding": encoding}), 400, "invalid_encoding")


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_a_bomb_is_413_and_never_inflated(service: Service, encoding: str) -> None:
    answer = await service.post("/v1/orders", bomb(encoding), {"Content-Encoding": encoding})
    assert_refused(answer, 413, "body_too_large")
    assert answer.json["limit"] < answer.json["actual"] < answer.json["limit"] + 4 * 2**20


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_a_bomb_within_a_bomb_is_opened_once(service: Service, encoding: str) -> None:
    inner = gzip.compress(b" " * 2**24, mtime=0)
    outer = gzip.compress(inner, mtime=0) if encoding == "gzip" else zstandard.compress(inner)
    answer = await service.post("/v1/orders", outer, {"Content-Encoding": encoding})
    assert_refused(answer, 400, "malformed_body")
    twice = await service.post("/v1/orders", outer, {"Content-Encoding": f"gzip, {encoding}"})
    assert_refused(twice, 415, "unsupported_encoding")


async def test_many_bombs_at_once_hold_no_more_than_the_memory_for_bodies(service: Service) -> None:
    packed = gzip.compress(b'{"x":"' + b"y" * 30 * 2**20 + b'"}', 1)
    whole = request("/v1/orders", packed, {"Content-Encoding": "gzip"})
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(await service.connect()) for _ in range(6)]
        for connection in connections:
            await connection.send(whole[:-10])
        answers = [asyncio.create_task(connection.answer()) for connection in connections]
        while not any(answer.done() for answer in answers):
            held = (await service.metrics()).total("penstock_http_body_bytes")
            assert held <= service.config.server.body_memory
        for connection in connections:
            await connection.send(whole[-10:])
        told = {(answer.status, answer.code) for answer in await asyncio.gather(*answers)}
    assert told == {(413, "event_too_large"), (503, "busy")}


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[[{}],"])
@pytest.mark.parametrize("content_type", [JSON, LINES, ENVELOPE, "application/cloudevents-batch+json"])
async def test_nesting_a_hundred_thousand_deep_is_refused(service: Service, opening: bytes, content_type: str) -> None:
    answer = await service.post("/v1/buried", opening * 100_000, content_type=content_type)
    assert answer.status in (400, 413, 422)
    assert service.sinks["main"].calls == 0


async def test_deep_nesting_within_one_event_of_many_is_its_own_trouble(service: Service) -> None:
    deep = b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}"
    answer = await service.post("/v1/orders", b"\n".join([GOOD, deep, GOOD]), content_type=LINES)
    assert answer.status == 207
    assert [result["status"] for result in answer.results] == ["delivered", "invalid", "delivered"]
    assert answer.results[1]["error"]["code"] == "nested_too_deep"


@pytest.mark.parametrize(
    "body",
    [
        b'{"x":"\xff\xfe"}',
        b'{"x":"\xc0\x80"}',
        b'{"x":"\xed\xa0\x80"}',
        b'{"x":"\\ud800"}',
        b'{"x":"\\udc00\\ud800"}',
        b'{"\\ud83d":1}',
        b'{"x":NaN}',
        b'{"x":Infinity}',
        b'{"x":-Infinity}',
        b'{"x":1e999}',
        b'{"x":1e999999}',
        b'{"x":' + b"9" * 4000 + b"}",
        b'{"x":' + b"9" * 700_000 + b"}",
        b'{"x":01}',
        b'{"x":1.}',
        b'{"x":"a\tb"}',
        b'{"x":1,}',
        b"{'x':1}",
        b'{"x":1} {"y":2}',
        b'\xef\xbb\xbf{"x":1}',
        b'{"x":"\x00"}',
        b'{"x":1}\x00',
        b'{"x":tru}',
    ],
)
async def test_what_is_not_strict_json_is_refused(service: Service, body: bytes) -> None:
    assert_refused(await service.post("/v1/buried", body), 400, "malformed_body")
    answer = await service.post("/v1/buried", GOOD + b"\n" + body.replace(b"\n", b" "), content_type=LINES)
    assert answer.status == 207
    assert [result["status"] for result in answer.results] == ["delivered", "invalid"]
    assert answer.results[1]["error"]["code"] == "malformed_event"
    [letter] = service.sinks["dead"].taken
    assert json.loads(letter.body)["reason"] == "invalid"


@pytest.mark.parametrize("body", [b"5", b'"x"', b"null", b"true", b" -0 "])
async def test_what_is_no_object_is_no_event(service: Service, body: bytes) -> None:
    assert_refused(await service.post("/v1/orders", body), 422, "malformed_event")


@pytest.mark.parametrize(
    "body",
    [
        b'{"number":1,"number":2}',
        b'{"x":1e-999}',
        b'{"x":' + b"1" + b"0" * 300 + b"}",
        b'{"x":"\\u0000\\uffff\xf0\x9f\x98\x80"}',
        b'{"":{}}',
        b'{"x":[' + b",".join([b"{}"] * 100_000) + b"]}",
        b'{"x":' + b"0." + b"1" * 10**6 + b"}",
        b"{" + b",".join([b'"%d":0' % (number * (2**61 - 1)) for number in range(20_000)]) + b"}",
    ],
)
async def test_what_is_odd_but_json_is_delivered_as_it_came(service: Service, body: bytes) -> None:
    answer = await service.post("/v1/orders", body)
    assert answer.status == 200
    assert [event.body for event in service.sinks["main"].taken] == [body]


async def test_a_cloudevent_with_a_member_twice_is_refused(service: Service) -> None:
    body = b'{"specversion":"1.0","id":"a","id":"b","source":"/s","type":"t"}'
    assert_refused(await service.post("/v1/orders", body, content_type=ENVELOPE), 422, "invalid_cloudevent")


@pytest.mark.parametrize("content_type", [JSON, LINES])
async def test_ten_thousand_events_are_all_answered_in_order(service: Service, content_type: str) -> None:
    answer = await service.post("/v1/orders", many(10_000, content_type), content_type=content_type)
    assert answer.status == 207
    results = answer.results
    assert [result["index"] for result in results] == list(range(10_000))
    invalid = [result["index"] for result in results if result["status"] == "invalid"]
    assert invalid == list(range(0, 10_000, 100))
    assert len(service.sinks["main"].taken) == 9_900


@pytest.mark.parametrize("content_type", [JSON, LINES])
async def test_ten_thousand_and_one_events_are_413(service: Service, content_type: str) -> None:
    answer = await service.post("/v1/orders", many(10_001, content_type), content_type=content_type)
    assert_refused(answer, 413, "batch_too_large")
    assert service.sinks["main"].calls == 0


@pytest.mark.parametrize("body", [b"{}\n" * 2_500_000, b"[" + b"{}," * 2_500_000 + b"{}]", b"\n" * 8_000_000])
async def test_millions_of_tiny_events_are_refused(service: Service, body: bytes) -> None:
    content_type = JSON if body[:1] == b"[" else LINES
    answer = await service.post("/v1/orders", body, content_type=content_type)
    assert answer.status == (400 if not body.strip() else 413)


def many(count: int, content_type: str) -> bytes:
    """`count` events, of which every hundredth is no object."""
    events = [b"[]" if number % 100 == 0 else b'{"number":%d}' % number for number in range(count)]
    return b"\n".join(events) if content_type == LINES else b"[" + b",".join(events) + b"]"
