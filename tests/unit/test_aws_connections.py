"""The connections on which requests to AWS are sent: used again, ended, and as the SDK is configured."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.aws import session
from service.aws.connection import ANSWER_BYTES, Connection
from service.aws.failures import AWS_ERRORS, retry_for
from service.aws.requests import Operation
from service.aws.settings import AwsConfig
from service.outcome import Reason
from service.sinks.kinesis_records import Answer
from tests.contract.fake_aws import ENVIRONMENT
from tests.unit.wire import Script, answer, ok, wire


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@asynccontextmanager
async def put_records(url: str) -> AsyncIterator[Any]:
    """A call of a client of its own."""
    config = AwsConfig(region="eu-west-1", endpoint_url=url)
    async with session.client("kinesis", config, concurrency=4, call_timeout=5.0) as client:
        operation = Operation(client, "kinesis", "PutRecords", "put_records", Answer)
        yield lambda: operation(b'{"Records":[]}', StreamName="orders")


async def reason(call: Any) -> Reason:
    with pytest.raises(AWS_ERRORS) as raised:
        await call()
    return retry_for(raised.value).reason


async def test_calls_use_the_connections_of_those_before_and_no_more_than_at_once() -> None:
    async with wire(ok()) as server, put_records(server.url) as call:
        for _ in range(5):
            await call()
        assert server.connections == 1
        for _ in range(3):
            await asyncio.gather(*[call() for _ in range(3)])
        assert server.connections == 3


async def test_a_connection_that_was_idle_for_too_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_KEEPALIVE_SECONDS", 0.0)
    async with wire(ok()) as server, put_records(server.url) as call:
        await call()
        await asyncio.sleep(0)
        await call()
        assert server.connections == 2


async def test_a_connection_that_was_closed_meanwhile_is_not_used() -> None:
    async with wire(answer("200 OK", b"{}", then="close")) as server, put_records(server.url) as call:
        await call()
        async with asyncio.timeout(30):
            while server.open:
                await asyncio.sleep(0)
        await asyncio.sleep(0.01)  # until the loop has read the end
        await call()
        assert server.connections == 2


async def test_a_connection_that_ended_before_it_was_asked_says_so() -> None:
    made = Connection(asyncio.get_running_loop())
    made.connection_made(asyncio.Transport())
    made.connection_lost(None)
    async with asyncio.timeout(30):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await made.ask(b"", b"", 60.0)


async def test_an_answer_to_nothing_ends_its_connection() -> None:
    async with wire(Script(ok().answer * 2)) as server, put_records(server.url) as call:
        for _ in range(3):
            assert (await call())["Records"]
        assert server.connections == 3


async def test_an_answer_to_nothing_that_comes_later_ends_its_connection() -> None:
    async with wire(Script(ok().answer, "repeat")) as server, put_records(server.url) as call:
        assert (await call())["Records"]
        async with asyncio.timeout(30):
            while server.open:
                await asyncio.sleep(0)


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (ANSWER_BYTES + 1),
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (ANSWER_BYTES // 200),
    ],
    ids=["body", "headers"],
)
async def test_an_answer_without_end_is_given_up(endless: bytes) -> None:
    async with wire(Script(endless)) as server, put_records(server.url) as call:
        assert await reason(call) is Reason.CONNECTION_LOST


async def test_a_client_that_ends_leaves_no_connection() -> None:
    async with wire(ok()) as server:
        async with put_records(server.url) as call:
            await call()
            server.script = Script(b"")
            waiting = asyncio.ensure_future(reason(call))
            while len(server.bodies) < 2:
                await asyncio.sleep(0)
        assert await waiting is Reason.CONNECTION_LOST
        async with asyncio.timeout(30):
            while server.open:
                await asyncio.sleep(0)


async def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire(ok()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with put_records("http://kinesis.example.com") as call:
            assert (await call())["Records"]
            assert (await call())["Records"]
    assert proxy.heads[1].startswith(b"POST http://kinesis.example.com/ HTTP/1.1\r\n")
    assert proxy.bodies == [b'{"Records":[]}'] * 2


async def test_a_host_that_needs_no_proxy_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire(ok()) as server, wire(ok()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with put_records(server.url) as call:
            await call()
    assert (len(server.heads), proxy.heads) == (1, [])


def certified(folder: Path, name: str) -> ssl.SSLContext:
    """A server's context, with a certificate for `name`, which stands in `folder`."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=test -addext"
    subprocess.run([*command.split(), f"subjectAltName={name}"], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates")
async def test_certificates_are_checked_as_the_sdk_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wire(ok(), certified(tmp_path, "IP:127.0.0.1")) as server:
        async with put_records(server.url) as call:
            assert await reason(call) is Reason.UNREACHABLE
        session._session.cache_clear()
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "cert.pem"))
        async with put_records(server.url) as call:
            assert (await call())["Records"]
            assert (await call())["Records"]
        assert server.connections == 1
        async with put_records(server.url.replace("127.0.0.1", "localhost")) as call:
            assert await reason(call) is Reason.UNREACHABLE, "a certificate is for its host"
    session._session.cache_clear()
