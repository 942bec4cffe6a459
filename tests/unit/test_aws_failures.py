"""What a failed call of the SDK becomes: provoked over the wire, through the kinesis sink."""

import socket
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from botocore import exceptions as sdk

from service.aws.failures import AWS_ERRORS, retry_for
from service.outcome import Outcome, Reason, Retry
from service.sinks.contract import Batch
from service.sinks.kinesis import Kinesis
from tests.contract.fake_aws import FakeAws, Refusal
from tests.contract.harness import event

SECRET = "AQoDYXdzEJr"


@pytest.fixture
async def aws() -> AsyncIterator[FakeAws]:
    async with FakeAws() as fake:
        fake.streams["orders"] = []
        yield fake


async def outcome_at(url: str, **settings: Any) -> Retry:
    """The outcome of one event, which is a Retry."""
    config = Kinesis.Config(type="kinesis", stream="orders", region="eu-west-1", endpoint_url=url, **settings)
    outcomes: list[Outcome] = []
    async with Kinesis("orders", config) as sink:
        outcomes.extend(await sink.write(Batch([event(0, b'{"secret":"payload"}')])))
    [outcome] = outcomes
    assert isinstance(outcome, Retry)
    return outcome


async def test_a_refused_connection_is_unreachable_and_nothing_was_sent(aws: FakeAws) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, not listening: it refuses, and nobody else can take the port
        outcome = await outcome_at(f"http://127.0.0.1:{bound.getsockname()[1]}")
    assert outcome.reason is Reason.UNREACHABLE
    assert not outcome.reason.may_have_written


async def test_a_connection_reset_after_sending_may_have_written(aws: FakeAws) -> None:
    aws.resets = True
    outcome = await outcome_at(aws.url)
    assert outcome.reason is Reason.CONNECTION_LOST
    assert outcome.reason.may_have_written


async def test_no_answer_within_the_read_time_out_may_have_written(aws: FakeAws) -> None:
    aws.hang()
    outcome = await outcome_at(aws.url, call_timeout=1.0)
    assert outcome.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Refusal("InternalFailure", 500), Reason.INTERNAL),
        (Refusal("ServiceUnavailable", 503), Reason.UNAVAILABLE),
        (Refusal("", 503, raw=b"<html>Service Unavailable</html>"), Reason.UNAVAILABLE),
        (Refusal("", 502, raw=b""), Reason.INTERNAL),
        (Refusal("", 500, raw=b"caf\xe9"), Reason.BAD_ANSWER),
        (Refusal("", 200, raw=b"[1]"), Reason.BAD_ANSWER),
        (Refusal("", 200, raw=b"not JSON"), Reason.BAD_ANSWER),
        (Refusal("", 200, raw=b"{}"), Reason.BAD_ANSWER),
        (Refusal("com.example#ProvisionedThroughputExceededException"), Reason.THROTTLED),
        (Refusal("ExpiredTokenException"), Reason.CREDENTIALS),
        (Refusal("NeverSeenBefore", 400), Reason.MISCONFIGURED),
    ],
    ids=lambda value: value.raw or value.code if isinstance(value, Refusal) else value.value,
)
async def test_an_error_answer_is_a_retry_with_its_reason(aws: FakeAws, refusal: Refusal, reason: Reason) -> None:
    aws.refusal = refusal
    assert (await outcome_at(aws.url)).reason is reason


async def test_an_unknown_code_stands_in_the_detail(aws: FakeAws) -> None:
    aws.refusal = Refusal("NeverSeenBefore", 400)
    assert (await outcome_at(aws.url)).detail == "NeverSeenBefore (HTTP 400, request request-1)"


@pytest.mark.parametrize("code", ["ValidationException", "InvalidSignatureException", "NeverSeenBefore"])
async def test_a_message_that_may_quote_the_request_is_not_told(aws: FakeAws, code: str) -> None:
    aws.refusal = Refusal(code, message=f"Value 'payload' with x-amz-security-token:{SECRET} is not valid")
    detail = (await outcome_at(aws.url)).detail
    assert code in detail
    assert "payload" not in detail
    assert SECRET not in detail


async def test_who_was_denied_what_is_told(aws: FakeAws) -> None:
    message = "User: arn:aws:sts::123456789012:assumed-role/app/1 is not authorized to perform: kinesis:PutRecords"
    aws.refusal = Refusal("AccessDeniedException", message=message)
    assert message in (await outcome_at(aws.url)).detail


async def test_retry_after_in_seconds_is_honoured(aws: FakeAws) -> None:
    aws.refusal = Refusal("ThrottlingException", 429, headers={"Retry-After": "7"})
    assert (await outcome_at(aws.url)).after == 7.0


async def test_retry_after_as_a_date_is_honoured(aws: FakeAws) -> None:
    aws.refusal = Refusal("", 503, headers={"Retry-After": formatdate(time.time() + 30, usegmt=True)}, raw=b"")
    after = (await outcome_at(aws.url)).after
    assert after is not None
    assert 20 < after <= 30


@pytest.mark.parametrize("value", ["soon", "-1", ""])
async def test_an_unreadable_retry_after_is_none(aws: FakeAws, value: str) -> None:
    aws.refusal = Refusal("ThrottlingException", 429, headers={"Retry-After": value})
    assert (await outcome_at(aws.url)).after is None


def _connector_error() -> aiohttp.ClientConnectorError:
    key = ConnectionKey("h", 443, True, True, None, None, None)
    return aiohttp.ClientConnectorError(key, OSError(111, "refused"))


TRANSPORT = {
    "connect timeout": (sdk.ConnectTimeoutError(endpoint_url="https://h"), Reason.UNREACHABLE),
    "proxy": (sdk.ProxyConnectionError(proxy_url="http://p", error=OSError()), Reason.UNREACHABLE),
    "tls": (sdk.SSLError(endpoint_url="https://h", error=OSError()), Reason.UNREACHABLE),
    "connector": (sdk.EndpointConnectionError(endpoint_url="https://h", error=_connector_error()), Reason.UNREACHABLE),
    "resolver": (sdk.EndpointConnectionError(endpoint_url="h", error=socket.gaierror()), Reason.UNREACHABLE),
    "reset while sending": (
        sdk.EndpointConnectionError(endpoint_url="https://h", error=aiohttp.ClientOSError(104, "reset")),
        Reason.CONNECTION_LOST,
    ),
    "closed": (sdk.ConnectionClosedError(endpoint_url="https://h", request=None), Reason.CONNECTION_LOST),
    "read timeout": (sdk.ReadTimeoutError(endpoint_url="https://h", error=OSError()), Reason.TIMEOUT),
    "anything else": (sdk.HTTPClientError(error=ValueError()), Reason.CONNECTION_LOST),
    "bare disconnect": (aiohttp.ServerDisconnectedError(), Reason.CONNECTION_LOST),
    "bare reset": (ConnectionResetError(), Reason.CONNECTION_LOST),
    "bare refusal": (ConnectionRefusedError(), Reason.UNREACHABLE),
    "bare timeout": (TimeoutError(), Reason.TIMEOUT),
    "no credentials": (sdk.NoCredentialsError(), Reason.CREDENTIALS),
    "half credentials": (sdk.PartialCredentialsError(provider="env", cred_var="x"), Reason.CREDENTIALS),
    "metadata service": (sdk.MetadataRetrievalError(error_msg=SECRET), Reason.CREDENTIALS),
    "credential process": (sdk.CredentialRetrievalError(provider="p", error_msg=SECRET), Reason.CREDENTIALS),
    "token file": (FileNotFoundError("/token"), Reason.CREDENTIALS),
    "endpoint rules": (sdk.EndpointProviderError(msg="x"), Reason.MISCONFIGURED),
}


@pytest.mark.parametrize(("error", "reason"), TRANSPORT.values(), ids=TRANSPORT)
def test_an_exception_of_the_sdk_is_a_retry_with_its_reason(error: Exception, reason: Reason) -> None:
    assert isinstance(error, AWS_ERRORS)
    retry = retry_for(error)
    assert retry.reason is reason
    assert retry.detail
    assert SECRET not in retry.detail
