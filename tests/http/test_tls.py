"""TLS: answers are those of a plain connection, and nothing that is wrong with a handshake holds or tells anything."""

import asyncio
import logging
import re
import ssl

import pytest

from tests.certificates import Authority
from tests.http.claims import assert_problem
from tests.http.client import JSON, SECONDS, Connection, chunked, connect, head, request
from tests.http.running import Service, running
from tests.http.securely import TLS, configuration, secured

GOOD = b'{"number":1}'
MANY = b"[" + b",".join([GOOD] * 3_000) + b"]"
EVENT = {"ce-specversion": "1.0", "ce-id": "e-1", "ce-source": "/shop", "ce-type": "order", "X-Request-Id": "r-1"}
NAMED = {"X-Request-Id": "r-1"}
REQUESTS = (
    request("/v1/orders", GOOD, EVENT),
    request("/v1/orders", b"[1,2]", {**NAMED, "Idempotency-Key": "k"}),
    request("/v1/orders", b"{", NAMED),
    request("/v1/none", GOOD, NAMED),
    request("/nothing", GOOD, NAMED),
    request("/v1/orders", GOOD, {**NAMED, "Content-Encoding": "br"}),
    head("GET", "/livez", NAMED),
    head("GET", "/v1/orders", NAMED),
    head("POST", "/v1/orders", {**EVENT, "Content-Type": JSON, "Transfer-Encoding": "chunked"}) + chunked([GOOD]),
)
LAST = (
    request("/v1/orders", GOOD, {**EVENT, "Connection": "close"}),
    request("/v1/orders", GOOD, {**NAMED, "Content-Length": str(2**30)}),
    b"GET / HTTP/9.9\r\n\r\n",
)
PASSING = re.compile(
    rb"date(: |': ')[^\r']+|x-request-id(: |': ')[0-9a-f]{8}-[^\r']+|request_id\":\"[0-9a-f]{8}-[^\"]+"
)
"""What differs in each answer: the date, and ids that the service gives."""


async def answers(service: Service) -> list[bytes]:
    """What the service answers to each, byte by byte."""
    found = []
    for last in LAST:
        async with await service.connect() as connection:
            for each in REQUESTS:
                await connection.send(each)
                found.append(repr(await connection.answer()).encode())
            await connection.send(last)
            found.append(await connection.whole())
    return [PASSING.sub(b"...", each) for each in found]


async def test_answers_are_byte_by_byte_those_of_a_plain_connection() -> None:
    plain = configuration().replace(f", {TLS % ''}", "")
    assert "tls" not in plain
    async with running(plain) as service, secured() as over_tls:
        assert service.url.startswith("http://" if service.trust is None else "https://")
        assert over_tls.service.url.startswith("https://")
        told, enciphered = await answers(service), await answers(over_tls.service)
    assert enciphered == told
    assert len(told) == len(LAST) * (len(REQUESTS) + 1)


async def test_version_alpn_and_compression_are_what_they_should_be() -> None:
    async with secured() as over_tls:
        trust = over_tls.trust()
        trust.set_alpn_protocols(["h2", "http/1.1"])
        async with await over_tls.connect(trust=trust) as connection:
            secure = connection.secure
            assert (secure.version(), secure.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
            assert secure.compression() is None
        trust.maximum_version = ssl.TLSVersion.TLSv1_2
        async with await over_tls.connect(trust=trust) as connection:
            assert connection.secure.version() == "TLSv1.2"
            await connection.send(request("/v1/orders", GOOD))
            assert (await connection.answer()).status == 200


async def test_a_version_or_a_suite_that_is_not_taken_is_no_connection() -> None:
    async with secured(", min_version: 1.3") as over_tls:
        trust = over_tls.trust()
        trust.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await over_tls.connect(trust=trust)
    async with secured(", ciphers: ECDHE+AESGCM") as over_tls:
        trust = over_tls.trust()
        trust.maximum_version = ssl.TLSVersion.TLSv1_2
        trust.set_ciphers("ECDHE+CHACHA20")
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            await over_tls.connect(trust=trust)
        found = await over_tls.service.metrics()
    assert found.total("penstock_tls_handshakes_failed_total", port="server", reason="protocol") == 1


async def test_plain_http_is_told_so_and_leaves_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async with secured() as over_tls:
        with caplog.at_level(logging.INFO):
            async with await connect(over_tls.service.url.replace("https", "http")) as connection:
                await connection.send(request("/v1/orders", GOOD))
                text = await connection.whole()
        assert text.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert text.endswith(b"this port speaks TLS: use https://")
        assert int(re.findall(rb"content-length: (\d+)", text)[0]) == len(text.partition(b"\r\n\r\n")[2])
        (line,) = [each for each in caplog.records if "handshake" in each.message]
        assert line.exc_info is None
        assert vars(line)["detail"] == "http request"


async def test_a_handshake_that_comes_in_pieces_is_one() -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    async with secured() as over_tls:
        secure = over_tls.trust().wrap_bio(incoming, outgoing, server_hostname="localhost")
        port = int(over_tls.service.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                data = outgoing.read()
                for at in range(len(data)):
                    writer.write(data[at : at + 1])
                    await writer.drain()
                    await asyncio.sleep(0)
                incoming.write(await reader.read(65536))
            else:
                break
        secure.write(request("/v1/orders", GOOD))
        writer.write(outgoing.read())  # the end of the handshake, and a request, at once
        found = b""
        while b"delivered" not in found:
            incoming.write(await reader.read(65536))
            try:
                while piece := secure.read():
                    found += piece
            except ssl.SSLWantReadError:
                continue
        assert found.startswith(b"HTTP/1.1 200 OK\r\n")
        writer.write(b"\x17\x03\x03\x00\x15" + b"no record of this sess")
        async with asyncio.timeout(SECONDS):
            incoming.write(await reader.read())
        with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
            secure.read()
        await over_tls.service.until(lambda each: each.total("penstock_http_connections_open", port="server") == 0)
        writer.close()
        await writer.wait_closed()


async def test_a_thousand_handshakes_that_are_abandoned_leave_nothing() -> None:
    async with secured() as over_tls:
        service = over_tls.service
        port = int(service.url.rpartition(":")[2])
        for _ in range(10):
            opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
            found = await service.until(lambda each: each.total("penstock_http_connections_open", port="server") == 100)
            for number, (_, writer) in enumerate(opened):
                if number % 2:
                    writer.write(b"\x16\x03\x01\x02\x00\x01")  # a record that has begun
            assert (await service.post("/v1/orders", GOOD)).status == 200
            for _, writer in opened:
                writer.transport.abort()
            found = await service.until(lambda each: each.total("penstock_http_connections_open", port="server") == 0)
    assert found.total("penstock_tls_handshakes_failed_total", reason="abandoned") == 1000


async def test_a_handshake_that_does_not_end_is_ended() -> None:
    async with secured(", handshake_timeout: 1s") as over_tls:
        async with await connect(over_tls.service.url.replace("https", "http")) as connection:
            await connection.send(b"\x16")
            assert await connection.ended()
        found = await over_tls.service.until(
            lambda each: each.total("penstock_http_connections_open", port="server") == 0
        )
        assert found.total("penstock_tls_handshakes_failed_total", reason="timeout") == 1
        async with await over_tls.connect() as connection:
            await connection.send(request("/v1/orders", GOOD))
            assert (await connection.answer()).status == 200


async def test_connections_in_their_handshake_count_to_the_most() -> None:
    async with secured(server=", max_connections: 2") as over_tls:
        service = over_tls.service
        plain = service.url.replace("https", "http")
        begun = [await connect(plain) for _ in range(2)]
        await service.until(lambda each: each.total("penstock_http_connections_open", port="server") == 2)
        async with await over_tls.connect() as connection:
            assert_problem(await connection.answer(), 503, "busy")
        begun += [await connect(plain) for _ in range(64)]
        await service.until(lambda each: each.total("penstock_http_connections_open", port="server") == 66)
        async with await connect(plain) as connection:
            assert await connection.ended(), "it is not even waited for its handshake"
        for each in begun:
            each.reset()
        found = await service.until(lambda each: each.total("penstock_http_connections_open", port="server") == 0)
        assert found.total("penstock_http_connections_refused_total", port="server") == 2


async def test_a_large_body_and_a_long_answer_come_whole() -> None:
    async with secured(server=", max_body: 8MiB") as over_tls, await over_tls.connect() as connection:
        for _ in range(2):
            await connection.send(request("/v1/orders", MANY))
            assert len((await connection.answer()).results) == 3_000
        events = b"[" + b",".join([b'{"text":"%s"}' % (b"x" * 500_000)] * 12) + b"]"
        await connection.send(request("/v1/orders", events))
        assert (await connection.answer()).status == 200


async def test_a_connection_that_is_idle_hears_its_end() -> None:
    times = ", request_timeout: 4100ms, load_balancer_idle: 4200ms, keep_alive: 4300ms"
    async with secured(server=times) as over_tls, await over_tls.connect() as connection:
        await connection.send(request("/v1/orders", GOOD))
        assert (await connection.answer()).status == 200
        assert await connection.ended()


async def test_the_end_of_the_service_ends_handshakes_and_answers_the_rest() -> None:
    async with secured() as over_tls:
        service = over_tls.service
        sink = service.sinks["main"]
        sink.hold()
        async with await connect(service.url.replace("https", "http")) as begun, await over_tls.connect() as connection:
            await connection.send(request("/v1/orders", GOOD))
            await sink.called()
            service.stop.set()
            assert await begun.ended()
            sink.deliver()
            assert (await connection.answer()).status == 200
            assert await connection.ended()
        assert await service.running is True


async def test_the_admin_port_speaks_tls_too() -> None:
    authority = Authority()
    signed = authority.server()
    files = {"server.pem": signed.pem.decode(), "server.key": signed.key.decode()}
    text = configuration() + f"admin: {{{TLS % ''}}}\n"
    async with running(text, files) as service:
        service.trust = authority.trusting()
        assert service.admin.startswith("https://")
        found = await service.metrics()
        expiry = signed.certificate.not_valid_after_utc.timestamp()
        for port in ("server", "admin"):
            assert found.total("penstock_tls_certificate_expiry_timestamp_seconds", port=port) == int(expiry)
        async with await connect(service.admin, service.trust) as connection:
            await connection.send(head("GET", "/livez", {}))
            assert (await connection.answer("GET")).status == 200


async def test_a_client_that_closes_its_side_ends_the_connection() -> None:
    async with secured() as over_tls:
        connection: Connection = await over_tls.connect()
        await connection.send(request("/v1/orders", GOOD))
        assert (await connection.answer()).status == 200
        await connection.close()  # close_notify, then FIN
        await over_tls.service.until(lambda each: each.total("penstock_http_connections_open", port="server") == 0)
