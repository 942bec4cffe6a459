"""What a call raises, or returns, is the same whether the SDK makes it or we do."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from service.aws import session
from service.aws.failures import AWS_ERRORS, retry_for
from service.aws.requests import Operation
from service.aws.session import client
from service.aws.settings import AwsConfig
from service.sinks import firehose, kinesis_records, sqs
from tests.contract.fake_aws import ENVIRONMENT
from tests.unit.wire import TAKEN, Script, Wire, answer, chunked, ok, wire

SERVICES: dict[str, tuple[str, str, type, dict[str, str], dict[str, Any]]] = {
    "kinesis": (
        "PutRecords",
        "put_records",
        kinesis_records.Answer,
        {"StreamName": "orders"},
        {"Records": [{"Data": b"1", "PartitionKey": "k"}]},
    ),
    "firehose": (
        "PutRecordBatch",
        "put_record_batch",
        firehose.Answer,
        {"DeliveryStreamName": "lake"},
        {"Records": [{"Data": b"1"}]},
    ),
    "sqs": (
        "SendMessageBatch",
        "send_message_batch",
        sqs.Answer,
        {"QueueUrl": "http://queue.example.com/123456789012/orders"},
        {"Entries": [{"Id": "0", "MessageBody": "1"}]},
    ),
}

REFUSALS = {
    "throttled": answer("400 Bad Request", b'{"__type":"ProvisionedThroughputExceededException","message":"slow"}'),
    "namespaced": answer(
        "400 Bad Request", b'{"__type":"com.amazonaws.kinesis#ResourceNotFoundException","Message":"?"}'
    ),
    "in a header": answer("400 Bad Request", b"{}", "x-amzn-ErrorType: AccessDeniedException:http://internal/"),
    "legacy code": answer(
        "400 Bad Request",
        b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"}',
        "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender",
    ),
    "clock": answer("403 Forbidden", b'{"__type":"InvalidSignatureException","message":"Signature expired"}'),
    "internal": answer("500 Internal Server Error", b'{"__type":"InternalFailure"}', "x-amzn-RequestId: r-1"),
    "unavailable": answer("503 Service Unavailable", b'{"__type":"ServiceUnavailable"}', "Retry-After: 7"),
    "a page": answer("502 Bad Gateway", b"<html>Bad gateway</html>", "Content-Type: text/html"),
    "a page for a refusal": answer("400 Bad Request", b"<html>\xff</html>"),
    "nothing": answer("500 Internal Server Error", b""),
    "too large": answer("413 Payload Too Large", b"", then="close"),
    "in chunks": chunked("400 Bad Request", b'{"__type":"Thr', b'ottling"}'),
    "closed after it": Script(b"HTTP/1.1 503 no\r\n\r\n{}", "close"),
}
SUCCESSES = {
    "taken": ok(),
    "closed after it": answer("200 OK", TAKEN, "Connection: close", then="close"),
    "in chunks": chunked("200 OK", TAKEN[:40], TAKEN[40:]),
    "without a length": Script(b"HTTP/1.1 200 OK\r\n\r\n" + TAKEN, "close"),
    "HTTP/1.0": Script(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(TAKEN), TAKEN), "close"),
    "announced": Script(b"HTTP/1.1 100 Continue\r\n\r\n" + ok().answer),
    "elsewhere": answer("307 Temporary Redirect", b"", "Location: /elsewhere"),
    "elsewhere with another method": answer("302 Found", b"", "Location: /elsewhere"),
    "another shape": answer("200 OK", b'{"Other":[1]}'),
}
BROKEN = {
    "no JSON": answer("200 OK", b"<html></html>"),
    "no object": answer("200 OK", b"[]"),
    "cut JSON": answer("200 OK", TAKEN[:-9]),
    "closed before": Script(b"", "close"),
    "closed in the head": Script(b"HTTP/1.1 200 OK\r\nContent-Le", "close"),
    "closed in the body": Script(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{", "close"),
    "closed in a chunk": Script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n99\r\n{", "close"),
    "reset before": Script(b"", "reset"),
    "no HTTP": Script(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "close"),
    "no status": Script(b"HTTP/1.1 abc\r\n\r\n", "close"),
    "silence": Script(b""),
    "silence in the body": Script(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"),
    "without end": answer("307 Temporary Redirect", b"", "Location: /"),
}
SILENT = (BROKEN["silence"], BROKEN["silence in the body"])
"""Whoever meets them waits for as long as a call may take."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@asynccontextmanager
async def ways(service: str, url: str, call_timeout: float = 8.0) -> AsyncIterator[tuple[Any, Any]]:
    """A call by the SDK alone, and the same by us, of one client each."""
    name, method, shape, target, records = SERVICES[service]
    config = AwsConfig(region="eu-west-1", endpoint_url=url)
    async with (
        client(service, config, concurrency=2, call_timeout=call_timeout) as sdks,
        client(service, config, concurrency=2, call_timeout=call_timeout) as ours,
    ):
        operation = Operation(ours, service, name, method, shape)
        yield lambda: getattr(sdks, method)(**target, **records), lambda: operation(b'{"any":"body"}', **target)


async def told(call: Any) -> tuple[Any, ...]:
    """What became of a call, in what the rest of the service sees of it."""
    try:
        answered = await call()
    except AWS_ERRORS as error:
        retry = retry_for(error)
        if isinstance(error, ClientError):
            return type(error), error.response, error.operation_name, retry
        return type(error), retry.reason, retry.after
    names = ("Records", "RequestResponses", "Successful", "FailedRecordCount")
    return tuple(answered.get(name) for name in names)


async def both(service: str, script: Script) -> tuple[tuple[Any, ...], tuple[Any, ...], Wire]:
    patience = {"call_timeout": 0.5} if script in SILENT else {}
    async with wire(script) as server, ways(service, server.url, **patience) as (sdks, ours):
        return await told(sdks), await told(ours), server


def lines(head: bytes) -> dict[str, str]:
    """The headers of a request by name, and its first line as that of none."""
    first, *rest = head.decode().strip().split("\r\n")
    return {"": first} | {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("token", [None, "a/token+of=AWS"])
async def test_a_request_is_the_sdks_but_for_what_differs_between_any_two(
    service: str, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    session._session.cache_clear()
    _, _, server = await both(service, ok())
    session._session.cache_clear()
    sdks, ours = map(lines, server.heads)
    assert sdks.pop("accept") == "*/*", "what the SDK's own client adds: without it, it was not the SDK's"
    assert ours.keys() == sdks.keys()
    for each in (sdks, ours):  # which features of the SDK were used; of some it tells but once
        each["user-agent"] = re.sub(r" m/\S+", "", each["user-agent"])
    differing = {"x-amz-date", "authorization", "amz-sdk-invocation-id", "content-length"}
    assert {name for name in ours if ours[name] != sdks[name]} <= differing
    assert ours.get("x-amz-security-token") == token
    assert ours["content-length"] == str(len(server.bodies[1]))


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_is_the_sdks(service: str, name: str) -> None:
    sdks, ours, server = await both(service, REFUSALS[name])
    assert ours == sdks
    assert issubclass(ours[0], ClientError) or name == "a page for a refusal"
    assert server.bodies[1:] == [b'{"any":"body"}'], "an answer is asked for once"


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", SUCCESSES)
async def test_a_success_is_the_sdks(service: str, name: str) -> None:
    sdks, ours, _ = await both(service, SUCCESSES[name])
    known = {"kinesis": 0, "firehose": 1, "sqs": 2}[service]
    assert ours[known] == sdks[known]
    assert bool(ours[known]) is (name != "another shape")


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_no_answer_is_the_sdks(name: str) -> None:
    sdks, ours, _ = await both("kinesis", BROKEN[name])
    assert ours == sdks


async def test_what_cannot_be_reached_is_the_sdks() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, not listening: it refuses
        for host in (f"127.0.0.1:{bound.getsockname()[1]}", "name.invalid"):
            async with ways("kinesis", f"http://{host}") as (sdks, ours):
                assert await told(ours) == await told(sdks)


async def test_a_full_backlog_is_the_sdks_connect_time_out() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        place = listening.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(place)
            async with ways("kinesis", f"http://127.0.0.1:{place[1]}", 0.5) as (sdks, ours):
                assert await told(ours) == await told(sdks)
        finally:
            for each in waiting:
                each.close()


async def test_a_call_that_is_given_up_ends_its_connection() -> None:
    async with wire(ok()) as server, ways("kinesis", server.url) as (_, ours):
        await ours()
        server.script = Script(b"")
        given_up = asyncio.ensure_future(ours())
        while len(server.bodies) < 2:
            await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        async with asyncio.timeout(30):
            while server.open:
                await asyncio.sleep(0)
        server.script = ok()
        assert (await ours())["Records"]
        assert server.connections == 2
