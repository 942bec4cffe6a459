"""What Firehose never sends, or an endpoint must not take: refused in the form it understands, and never as 413, for
what is answered so is lost.
"""

import asyncio
import base64
import gzip
import json
from typing import Any

import pytest

from tests.http import firehose
from tests.http.claims import assert_retry_after
from tests.http.client import chunked, head
from tests.http.firehose import ID, KEY, PATH, assert_form, numbered, sent, whole
from tests.http.running import Service, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = f"""
server: {{memory: 48MiB, request_timeout: 8s, drain_timeout: 500ms, body_timeout: 1s, max_requests: 3}}
sinks:
  main: {{type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}}
  dead: {{type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s, largest: 2MiB}}
routes:
  orders: {{to: [main], dead_letter: dead}}
sources:
  stream:
    type: firehose
    codec: json
    access_keys: [{KEY}]
    route: orders
    max_body: 256KiB
    max_records: 50
    memory: 1MiB
"""


async def refused(service: Service, content: bytes, status: int = 400, **more: str) -> dict[str, Any]:
    """The refusal of a request with this body, of which nothing is taken. Returns the answer's body."""
    given = {name.replace("_", "-"): value for name, value in more.items()}
    found = assert_form(await service.raw(whole(content, given)), status)
    assert not service.sinks["main"].taken
    assert not service.sinks["dead"].taken
    return found


def record(content: str) -> bytes:
    return f'{{"requestId":"{ID}","timestamp":1,"records":[{content}]}}'.encode()


GOOD = '{"data":"eyJudW1iZXIiOjF9"}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"\xef\xbb\xbf" + record(GOOD),
        record(GOOD) + b"x",
        record(GOOD) * 2,
        record(""),
        record(GOOD)[:-3],
        record(GOOD).replace(b"[", b"").replace(b"]", b""),
        record(GOOD).replace(b"requestId", b"request_id"),
        record(GOOD).replace(ID.encode(), b"another"),
        record(GOOD).replace(b'"' + ID.encode() + b'"', b"7"),
        record(GOOD).replace(b"requestId", b"request\\u0049d"),
        record(GOOD)[:-1] + b',"records":[]}',
        b'{"records":[' + GOOD.encode() + b"]," + record(GOOD)[1:],
        record(GOOD)[:-1] + b',"requestId":"' + ID.encode() + b'"}',
        record("[" * 20_000 + "]" * 20_000),
        record('{"a":' * 20_000 + "1" + "}" * 20_000),
        record("[" * 100_000),
        b"[" * 100_000,
    ],
)
async def test_a_body_that_cannot_be_read_is_400(service: Service, content: bytes) -> None:
    assert (await refused(service, content))["errorMessage"].startswith("the body ")


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("X-Amz-Firehose-Protocol-Version", "2.0", 400),
        ("X-Amz-Firehose-Protocol-Version", "", 400),
        ("Content-Type", "text/plain", 415),
        ("Content-Type", "application/x-www-form-urlencoded", 415),
        ("Content-Encoding", "br", 415),
        ("X-Amz-Firehose-Common-Attributes", "{", 400),
        ("X-Amz-Firehose-Common-Attributes", "[]", 400),
        ("X-Amz-Firehose-Common-Attributes", '{"commonAttributes":{"a":1}}', 400),
        ("X-Amz-Firehose-Common-Attributes", '{"commonAttributes":{"":"a"}}', 400),
        ("X-Amz-Firehose-Common-Attributes", '{"commonAttributes":{"a":"' + "x" * 1025 + '"}}', 400),
        ("X-Amz-Firehose-Common-Attributes", '{"commonAttributes":{"' + "x" * 257 + '":"a"}}', 400),
        ("X-Amz-Firehose-Common-Attributes", '{"commonAttributes":' + '{"a":' * 5000 + "1" + "}" * 5001, 400),
        (
            "X-Amz-Firehose-Common-Attributes",
            json.dumps({"commonAttributes": {f"a{number}": "" for number in range(51)}}),
            400,
        ),
    ],
)
async def test_a_header_that_cannot_be_read_is_refused_by_its_name(
    service: Service, name: str, value: str, status: int
) -> None:
    found = await refused(service, record(GOOD), status, **{name.replace("-", "_"): value})
    assert name in found["errorMessage"] or "Upgrade" in found["errorMessage"]


@pytest.mark.parametrize("identity", ["", "two words", "é", "x" * 129])
async def test_a_request_without_a_plain_id_is_400(service: Service, identity: str) -> None:
    answer = await service.raw(whole(record(GOOD), {"X-Amz-Firehose-Request-Id": identity}))
    assert_form(answer, 400, "")
    assert not service.sinks["main"].taken


async def test_a_body_above_its_bound_is_400_and_says_so_before_it_has_come(service: Service) -> None:
    given = firehose.headers() | {"Content-Type": "application/json", "Content-Length": str(256 * 1024 + 1)}
    async with await service.connect() as connection:
        await connection.send(head("POST", PATH, given))
        found = assert_form(await connection.answer(), 400)
        assert "max_body" in found["errorMessage"]
        assert str(256 * 1024) in found["errorMessage"]


async def test_a_chunked_body_above_its_bound_is_400(service: Service) -> None:
    given = firehose.headers() | {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    answer = await service.raw(head("POST", PATH, given) + chunked([b" " * 65536] * 5))
    assert "max_body" in assert_form(answer, 400)["errorMessage"]


async def test_a_body_that_is_above_its_bound_when_inflated_is_400(service: Service) -> None:
    found = await refused(service, gzip.compress(b" " * 256 * 1024 + record(GOOD)), Content_Encoding="gzip")
    assert "max_body" in found["errorMessage"]


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(record(GOOD), mtime=0)[:-9]])
async def test_a_body_that_is_no_gzip_is_400(service: Service, content: bytes) -> None:
    await refused(service, content, Content_Encoding="gzip")


async def test_more_records_than_may_come_are_400(service: Service) -> None:
    assert_form(await sent(service, numbered(range(50))), 200)
    service.sinks["main"].taken.clear()
    found = await refused(service, firehose.body(numbered(range(51))))
    assert "max_records" in found["errorMessage"]


async def test_a_record_larger_than_its_route_takes_is_a_dead_letter(service: Service) -> None:
    text = CONFIGURATION.replace("routes:\n  orders: {", "routes:\n  orders: {max_event: 1KiB, ")
    async with running(text) as other:
        assert_form(await sent(other, [b'{"number":1,"filler":"%s"}' % (b"x" * 1024), b'{"number":2}']), 200)
        assert len(other.sinks["main"].taken) == len(other.sinks["dead"].taken) == 1


async def test_a_body_that_comes_too_slowly_is_408(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(whole(record(GOOD))[:-1])
        assert_form(await connection.answer(), 408)
    assert not service.sinks["main"].taken


async def test_a_body_that_is_cut_takes_nothing_and_holds_nothing(service: Service) -> None:
    for _ in range(5):
        async with await service.connect() as connection:
            await connection.send(whole(record(GOOD))[:-1])
            connection.reset()
    await service.idle()
    assert not service.sinks["main"].taken


async def test_a_client_that_leaves_before_its_answer_cancels_nothing(service: Service) -> None:
    sink = service.sinks["main"]
    sink.hold()
    async with await service.connect() as connection:
        await connection.send(whole(record(GOOD)))
        await sink.called()
    sink.deliver()
    await service.until(lambda _: len(sink.taken) == 1)


async def test_requests_beyond_max_requests_are_503_and_come_back() -> None:
    # a service of its own, where nobody else has sent lately
    async with running(CONFIGURATION) as service:
        sink = service.sinks["main"]
        sink.hold()
        waiting = [asyncio.create_task(sent(service, numbered([number]), f"request-{number}")) for number in range(3)]
        await service.until(lambda metrics: metrics.total("penstock_http_requests_open") == 3)
        answer = await sent(service, numbered([3]))
        assert_form(answer, 503)
        assert_retry_after(answer)
        sink.deliver()
        for number, task in enumerate(waiting):
            assert_form(await task, 200, f"request-{number}")
        assert_form(await sent(service, numbered([3])), 200)


async def test_a_stream_leaves_room_for_those_that_have_sent_lately() -> None:
    async with running(CONFIGURATION.replace("max_requests: 3", "max_requests: 5")) as service:
        sink = service.sinks["main"]
        assert (await service.post("/v1/orders", GOOD.encode())).status == 200
        sink.hold()
        waiting = [asyncio.create_task(sent(service, numbered([number]), f"request-{number}")) for number in range(2)]
        await service.until(lambda metrics: metrics.total("penstock_http_requests_open") == 2)
        answer = await sent(service, numbered([3]))
        assert_form(answer, 429)
        assert_retry_after(answer)
        sink.deliver()
        for number, task in enumerate(waiting):
            assert_form(await task, 200, f"request-{number}")


async def test_requests_on_one_connection_are_answered_in_turn(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(whole(record(GOOD)) + whole(record("")) + whole(record(GOOD)))
        for status in (200, 400, 200):
            assert_form(await connection.answer(), status)


async def test_a_message_in_an_answer_is_no_longer_than_firehose_reads(service: Service) -> None:
    value = base64.b64encode(b"x" * 15_000).decode()
    answer = await service.raw(whole(record(GOOD), {"Content-Type": f"text/{value}"}))
    assert_form(answer, 415)
