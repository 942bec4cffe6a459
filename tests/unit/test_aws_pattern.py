"""The signature of a request is botocore's, for any body, target, credentials and time; if not, there is no pattern."""

import datetime
import string
import time
from typing import Any
from unittest import mock

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from service.aws.pattern import Pattern

WORD = st.text(string.ascii_letters + string.digits + "-_.+/=", min_size=1, max_size=40)
VALUE = st.text(string.ascii_letters + string.digits + " -_.;,#/\t", min_size=1, max_size=40)
HOST = st.sampled_from(
    [
        "https://kinesis.eu-west-1.amazonaws.com",
        "https://123456789012.data-kinesis.eu-west-1.amazonaws.com",
        "https://sqs.cn-north-1.amazonaws.com.cn:443",
        "http://127.0.0.1:4566",
        "http://[::1]:4566",
        "http://LOCALHOST:80",
        "https://example.com:8443/some/path~x",
    ]
)
CREDENTIALS = st.builds(ReadOnlyCredentials, WORD, WORD, st.none() | WORD)
WHEN = st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2099, 12, 31))
HEADERS = st.dictionaries(
    st.sampled_from(["X-Amz-Target", "Content-Type", "User-Agent", "X-Amz-Other", "A", "z-last"]), VALUE, min_size=1
)


def signed(
    url: str, headers: dict[str, str], credentials: Any, when: datetime.datetime, body: bytes, service: str, region: str
) -> Any:
    request = AWSRequest(method="POST", url=url, headers=headers, data=body)
    with mock.patch("botocore.auth.get_current_datetime", return_value=when):
        SigV4Auth(credentials, service, region).add_auth(request)
    request.headers["amz-sdk-invocation-id"] = "1"
    return request.prepare()


def header(request: Any, name: str) -> str:
    return str(request.headers[name])


@given(HOST, HEADERS, CREDENTIALS, WHEN, WHEN, st.binary(min_size=1), st.binary(min_size=1), WORD, WORD)
def test_a_signature_is_botocores(
    host: str,
    headers: dict[str, str],
    credentials: ReadOnlyCredentials,
    learnt_at: datetime.datetime,
    when: datetime.datetime,
    first: bytes,
    body: bytes,
    service: str,
    region: str,
) -> None:
    service, region = service.replace("/", ""), region.replace("/", "")
    pattern = Pattern.of(signed(f"{host}/", headers, credentials, learnt_at, first, service, region), credentials)
    assert pattern is not None
    wanted = signed(f"{host}/", headers, credentials, when, body, service, region)
    assert pattern.authorization(body, header(wanted, "X-Amz-Date")) == header(wanted, "Authorization")


def test_a_head_has_the_time_of_its_call_and_the_signature_for_it() -> None:
    credentials = ReadOnlyCredentials("key", "secret", "token")
    at = datetime.datetime(2026, 11, 24, 23, 59, 59)
    args = ("https://kinesis.eu-west-1.amazonaws.com/", {"X-Amz-Target": "K.P"}, credentials)
    pattern = Pattern.of(signed(*args, at, b"{}", "kinesis", "eu-west-1"), credentials)
    assert pattern is not None
    for seconds in (0, 1, 86_400):
        now = at + datetime.timedelta(seconds=seconds)
        with mock.patch.object(time, "time", return_value=now.replace(tzinfo=datetime.UTC).timestamp() + 0.7):
            head = pattern.head(b"body").decode()
        wanted = signed(*args, now, b"body", "kinesis", "eu-west-1")
        for name in ("X-Amz-Date", "Authorization", "X-Amz-Security-Token"):
            assert f"{name}: {header(wanted, name)}\r\n" in head
        assert "Content-Length: 4\r\n" in head
        assert head.endswith("\r\n\r\n")
        assert head.count("\r\n\r\n") == 1


SOUND: dict[str, Any] = {
    "url": "https://kinesis.eu-west-1.amazonaws.com/",
    "headers": {"X-Amz-Target": "K.P"},
    "credentials": ReadOnlyCredentials("key", "secret", None),
    "when": datetime.datetime(2026, 11, 24),
    "body": b"{}",
    "service": "kinesis",
    "region": "eu-west-1",
}


def test_a_request_that_is_signed_otherwise_gives_no_pattern() -> None:
    credentials = SOUND["credentials"]
    assert Pattern.of(signed(**SOUND), credentials) is not None
    assert Pattern.of(signed(**SOUND), ReadOnlyCredentials("key", "another", None)) is None
    assert Pattern.of(signed(**SOUND | {"headers": {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}}), credentials) is None
    assert Pattern.of(signed(**SOUND | {"headers": {"X-Amz-Target": "K.P\r\nHost: b"}}), credentials) is None


@pytest.mark.parametrize("authorization", ["", "Bearer token", "AWS4-ECDSA-P256-SHA256 a, b, c", "a b c d"])
def test_another_way_to_sign_gives_no_pattern(authorization: str) -> None:
    request = signed(**SOUND)
    request.headers["Authorization"] = authorization
    assert Pattern.of(request, SOUND["credentials"]) is None


@pytest.mark.parametrize("path", ["a?b=c", "a//../b", "ü", "a b"])
def test_an_unusual_url_gives_no_pattern(path: str) -> None:
    assert Pattern.of(signed(**SOUND | {"url": SOUND["url"] + path}), SOUND["credentials"]) is None


def test_another_method_gives_no_pattern() -> None:
    request = signed(**SOUND)
    request.method = "PUT"
    assert Pattern.of(request, SOUND["credentials"]) is None
