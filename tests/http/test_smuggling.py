"""Requests whose end, or whose target, two readers could see differently: refused with an end to the connection, or
read as RFC 9112 says. What is hidden behind a refused one never becomes a request.
"""

import pytest

from tests.http.claims import assert_no_http
from tests.http.client import JSON, chunked, request
from tests.http.running import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
server: {memory: 40MiB, max_body: 8MiB, body_timeout: 500ms, request_timeout: 10s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s, memory: 10MiB}
routes:
  orders: {to: [main]}
"""

GOOD = b'{"number":1}'
NEXT = request("/v1/orders", b'{"next":1}')
START = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\n" % JSON.encode()
CHUNKED = START + b"Transfer-Encoding: chunked\r\n"


def coded(value: bytes) -> bytes:
    """A chunked body under `Transfer-Encoding:value`."""
    return START + b"Transfer-Encoding:" + value + b"\r\n\r\n" + chunked([GOOD])


def sized(size: bytes) -> bytes:
    """A body in one chunk of which this is the size, and all else of its line."""
    return CHUNKED + b"\r\n" + size + b"\r\n" + GOOD + b"\r\n0\r\n\r\n"


def headed(line: bytes) -> bytes:
    """A request with this line in its head, and behind it a Content-Length."""
    return START + line + b"\r\nContent-Length: 12\r\n\r\n" + GOOD


def aimed(target: bytes, method: bytes = b"POST") -> bytes:
    return headed(b"X: y").replace(b"POST /v1/orders", method + b" " + target)


REFUSED = {
    **{
        f"coding {value!r}": coded(value)
        for value in (
            b" chunked ", b" chunked\t", b" chunked;q=1", b" identity", b" chunked, identity", b" identity, chunked",
            b" chunked,", b" ,chunked", b' "chunked"', b" chunked\x0b", b" \x00chunked", b"", b" gzip",
            b" gzip, chunked",
            b" chunked\r\nTransfer-Encoding: chunked", b" identity\r\nTransfer-Encoding: chunked",
            b" chunked\r\nContent-Length: 3", b" chunked\r\n ,identity",
        )
    },
    **{
        f"chunk {size!r:.30}": sized(size)
        for size in (
            b"-c", b"+c", b" c", b"c ", b"\tc", b"0xc", b'c;a="b\n"', b"10000000000000000c", b"f" * 17, b"c\r", b"cg",
            b"", b"c\x00", b"c\n", b"\xef\xbc\x8c", b"c;" + b"a" * 80_000, b"1_2",
        )
    },
    **{
        f"line {line!r}": headed(line)
        for line in (
            b"X: a\r\n b", b"X: a\rb", b"X: a\nb: c", b"X: a\x00b", b"X : a", b" X: a", b"X\t: a", b"X\x0b: a", b": a",
            b"X", b"X:a\x7f", b"\xff: a", b"Content-Length : 3", b"Content-Length: +12", b"content-length: 012",
            b"Content-Length: 12", b"CONTENT-LENGTH:\t12", b"Content-Length: 12, 12", b"Content-Length: 1\x002",
            b"Host: y", b"hOST : y",
        )
    },
    **{
        f"target {target!r}": aimed(target)
        for target in (
            b"x:443", b"", b"v1/orders", b"/v1/orders\t", b"/v1/\xff", b"http://u:p@x:99999/v1/orders",
            b"http:///v1/orders", b"http://x:a/", b"/v1/orders HTTP/1.1 x", b"?", b"http://", b"/a\x00b",
        )
    },
    "authority form": aimed(b"x:443", b"CONNECT"),
    "lines that end in LF": b"GET /livez HTTP/1.1\nHost: x\n\n",
    "lines that end in CR": b"GET /livez HTTP/1.1\rHost: x\r\r" + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 50,
    "HTTP/1.2": b"GET /livez HTTP/1.2\r\nHost: x\r\n\r\n",
    "HTTP/01.1": b"GET /livez HTTP/01.1\r\nHost: x\r\n\r\n",
    "a small method": b"post /v1/orders HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown method": b"POSTX /v1/orders HTTP/1.1\r\nHost: x\r\n\r\n",
}  # fmt: skip

READ = {
    **{f"coding {value!r}": (coded(value), 200) for value in (b"Chunked", b" CHUNKED", b"\tchunked")},
    **{
        f"chunk {size!r:.30}": (sized(size), 200)
        for size in (b"c", b"C", b"0c", b"0" * 40 + b"c", b"c;a", b'c;a="b"', b"c;" + b"a" * 1000)
    },
    **{
        f"target {target!r}": (aimed(target), status)
        for target, status in (
            (b"http://x/v1/orders", 200), (b"http://other.example.com/v1/orders", 200), (b"http://x", 404),
            (b"http://x?a", 404), (b"*", 404), (b"//x/v1/orders", 404), (b"/v1//orders", 404), (b"/v1/orders/", 404),
            (b"/v1/../v1/orders", 404), (b"/v1/%2e%2e/v1/orders", 404), (b"/v1/%6frders", 200), (b"/v1/orders%00", 404),
            (b"/v1/orders?x", 200), (b"/v1/orders%0d%0aX:%20y", 404), (b"/../../etc/passwd", 404), (b"/v1/..", 404),
        )
    },
    "an underscore": (headed(b"Content_Length: 3"), 200),
}  # fmt: skip


@pytest.mark.parametrize("whole", REFUSED.values(), ids=REFUSED)
async def test_what_could_be_read_in_two_ways_ends_the_connection(service: Service, whole: bytes) -> None:
    async with await service.connect() as connection:
        await connection.send(whole + NEXT)
        assert_no_http(await connection.answer())
        assert await connection.ended()
    assert service.sinks["main"].calls == 0


@pytest.mark.parametrize(("whole", "status"), READ.values(), ids=READ)
async def test_what_can_be_read_in_one_way_is_and_what_follows_is_the_next_request(
    service: Service, whole: bytes, status: int
) -> None:
    async with await service.connect() as connection:
        await connection.send(whole + NEXT)
        assert [(await connection.answer()).status for _ in range(2)] == [status, 200]
    assert [event.body for event in service.sinks["main"].taken] == [GOOD] * (status == 200) + [b'{"next":1}']


async def test_a_coding_in_http_1_0_ends_the_connection_behind_its_body(service: Service) -> None:
    async with await service.connect() as connection:
        await connection.send(coded(b" chunked").replace(b"HTTP/1.1", b"HTTP/1.0") + NEXT)
        assert (await connection.answer()).status == 200
        assert await connection.ended()
    assert [event.body for event in service.sinks["main"].taken] == [GOOD]


async def test_a_request_that_is_repeated_back_to_its_sender_holds_no_credentials(service: Service) -> None:
    answer = await service.raw(b"TRACE / HTTP/1.1\r\nHost: x\r\nAuthorization: secret\r\n\r\n")
    assert answer.status == 404
    assert b"secret" not in answer.body


@pytest.mark.parametrize("ending", [b"\r\n", b"\r\n\r\n"])
async def test_http_0_9_is_no_way_past_the_bounds(service: Service, ending: bytes) -> None:
    async with await service.connect() as connection:
        await connection.send(b"GET /livez" + ending + NEXT)
        assert (await connection.answer()).status == 400
        assert await connection.ended()
    assert service.sinks["main"].calls == 0
