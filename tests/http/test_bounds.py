"""What a client may take before it is known and after: connections, heads, answers that it does not read."""

import asyncio
import re
import socket

import pytest

from tests.http.claims import assert_no_http, assert_problem, assert_retry_after
from tests.http.client import JSON, SECONDS, Connection, head, request
from tests.http.running import Service, running

CONFIGURATION = """
server: {memory: 40MiB, max_connections: 100, body_timeout: 1s, request_timeout: 10s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}
routes:
  orders: {to: [main], key: "header:x-tenant"}
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = b'{"number":1}'
TYPED = {"Content-Type": JSON, "Content-Length": str(len(GOOD)), "X-Tenant": "a"}
MANY = b"[" + b",".join([b"1"] * 9_000) + b"]"
"""Refused events, whose answer takes over a megabyte."""
START = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\n"


async def sipping(service: Service) -> Connection:
    """A connection of which the system keeps little that is not read."""
    host, _, port = service.url.partition("://")[2].partition(":")
    stream = socket.socket()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream.setblocking(False)
    await asyncio.get_running_loop().sock_connect(stream, (host, int(port)))
    name = host if service.trust else None
    return Connection(*await asyncio.open_connection(sock=stream, limit=4096, ssl=service.trust, server_hostname=name))


async def test_an_answer_is_charged_until_it_is_read() -> None:
    async with (
        running(CONFIGURATION.replace("body_timeout: 1s", "body_timeout: 30s")) as service,
        await sipping(service) as connection,
    ):
        await connection.send(request("/v1/orders", MANY))
        metrics = await service.until(lambda metrics: metrics.total("penstock_http_body_bytes") > 0)
        assert metrics.total("penstock_http_requests_open") == 1
        answer = await connection.answer()
        assert len(answer.results) == 9_000
        await service.idle()


async def test_a_client_that_does_not_read_its_answer_is_left(service: Service) -> None:
    async with await sipping(service) as connection:
        await connection.send(request("/v1/orders", MANY))
        await service.until(lambda metrics: 10**6 < metrics.total("penstock_http_body_bytes") < 2 * 10**6)
        await service.idle()
        await service.until(lambda metrics: metrics.total("penstock_http_connections_open", port="server") == 0)


@pytest.mark.parametrize(
    "whole",
    [
        head("POST", "/v1/orders", TYPED).replace(b"Host: localhost\r\n", b"") + GOOD,
        head("POST", "/v1/orders", {**TYPED, "Host": "other.example.com"}) + GOOD,
        head("POST", "/v1/orders", {"Content-Type": JSON, "Transfer-Encoding": "gzip, chunked"}) + b"0\r\n\r\n",
        head("POST", "/v1/orders", [*TYPED.items(), *[("X-A", "b")] * 97]) + GOOD,
    ],
    ids=["no host", "two hosts", "another coding", "101 headers"],
)
async def test_400_for_a_head_out_of_bounds(service: Service, whole: bytes) -> None:
    async with await service.connect() as connection:
        await connection.send(whole)
        assert_no_http(await connection.answer())
        assert await connection.ended()
    assert service.sinks["main"].calls == 0


@pytest.mark.parametrize("endless", [b"x: " + b"y" * 1000 + b"\r\n", b"y" * 1000, b"y: z\r\n"])
async def test_400_for_a_head_without_end(service: Service, endless: bytes) -> None:
    async with await service.connect() as connection:
        await connection.send(b"POST /v1/orders HTTP/1.1\r\nHost: x\r\n" + endless * (16 * 2**20 // len(endless)))
        answer = await connection.answer()
        assert_no_http(answer)
        assert re.search("more than (32768 bytes|100 headers)", answer.json["detail"])


async def test_400_for_a_target_without_end(service: Service) -> None:
    assert_no_http(await service.raw(b"POST /v1/" + b"o" * 200_000))


async def test_a_head_at_its_bounds_is_taken(service: Service) -> None:
    old = head("POST", "/v1/orders", TYPED, "HTTP/1.0").replace(b"Host: localhost\r\n", b"") + GOOD
    assert (await service.raw(old)).status == 200
    most = [*TYPED.items(), ("X-Long", "y" * 12_000), *[("X-A", "b")] * 95]
    assert (await service.raw(head("POST", "/v1/orders", most) + GOOD)).status == 200


async def test_unfinished_heads_share_little_memory_and_a_whole_one_needs_none(service: Service) -> None:
    begun = [await service.connect() for _ in range(99)]
    for connection in begun:
        await connection.send(START)
    for connection in begun:
        await connection.send(b"X-Long: " + b"y" * 31_000)
    whole = await service.post("/v1/orders", GOOD, {"X-Tenant": "a"})
    assert whole.status == 200
    for connection in begun:
        await connection.send(b"\r\nContent-Length: 0\r\n\r\n")
    answers = [await connection.answer() for connection in begun]
    refused = [answer for answer in answers if answer.code == "busy"]
    # of each, what came in its first 16 KiB is not counted
    assert 0 < len(answers) - len(refused) <= 5 * 2**18 // (31_000 - 16_384)
    for answer in refused:
        assert_retry_after(answer)
    for connection in begun:
        await connection.close()


async def test_a_connection_too_many_is_503_and_costs_the_others_nothing(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    open_ = [await service.connect() for _ in range(100)]
    await service.until(lambda metrics: metrics.total("penstock_http_connections_open", port="server") == 100)
    for _ in range(2):
        async with await service.connect() as late:
            answer = await late.answer()
            assert_problem(answer, 503, "busy")
            assert_retry_after(answer)
            assert await late.ended()
    await open_[0].send(request("/v1/orders", GOOD, {"X-Tenant": "a"}))
    assert (await open_[0].answer()).status == 200
    for connection in open_:
        await connection.close()
    metrics = await service.until(lambda metrics: metrics.total("penstock_http_connections_open", port="server") == 0)
    assert metrics.total("penstock_http_connections_refused_total", port="server") == 2
    said = [record.getMessage() for record in caplog.records if "connections are taken" in record.getMessage()]
    assert said == ["no more connections are taken", "connections are taken again"]


async def test_a_header_is_utf_8_where_it_can_be(service: Service) -> None:
    for raw, key in ((b"caf\xc3\xa9", "café"), (b"caf\xe9", "café")):
        typed = head("POST", "/v1/orders", TYPED).replace(b"X-Tenant: a", b"X-Tenant: " + raw)
        assert (await service.raw(typed + GOOD)).status == 200
        assert service.sinks["main"].taken.pop().key == key


async def test_a_body_that_the_end_overtakes_is_503_and_retryable() -> None:
    async with running(CONFIGURATION.replace("body_timeout: 1s", "body_timeout: 10s")) as service:
        async with await service.connect() as connection:
            await connection.send(request("/v1/orders", GOOD, {"X-Tenant": "a"})[:-2])
            await service.until(lambda metrics: metrics.total("penstock_http_requests_open") == 1)
            service.stop.set()
            answer = await connection.answer()
        assert_problem(answer, 503, "draining")
        assert_retry_after(answer)
        assert service.running is not None
        assert await service.running is True
    assert service.sinks["main"].calls == 0


async def test_a_second_signal_is_heard_after_the_drain_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    text = CONFIGURATION.replace("body_timeout: 1s", "body_timeout: 20s").replace(
        "drain_timeout: 1s", "drain_timeout: 20s"
    )
    async with running(text) as service, await service.connect() as connection:
        await connection.send(request("/v1/orders", GOOD, {"X-Tenant": "a"})[:-2])
        await service.until(lambda metrics: metrics.total("penstock_http_requests_open") == 1)
        service.stop.set()
        async with asyncio.timeout(SECONDS):
            while "drained" not in [record.getMessage() for record in caplog.records]:
                await asyncio.sleep(0.01)
        service.now.set()
        assert_problem(await connection.answer(), 503, "draining")
        assert service.running is not None
        assert await service.running is True
