"""Tokens for MSK with IAM: what they say, when they expire, whose credentials sign them, and how often those are asked
for."""

import base64
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from service.aws import credentials
from service.aws.settings import AwsIdentity
from service.kafka.tokens import Tokens
from service.threads import off_loop
from tests.contract.fake_aws import FakeAws, Refusal

ROLE = "arn:aws:iam::123456789012:role/writer"
LIFE_SECONDS = 900


@pytest.fixture
async def aws() -> AsyncIterator[FakeAws]:
    """An STS, for a process that has no credentials yet but those of its environment."""

    def forget() -> None:
        credentials.credentials.cache_clear()
        credentials._session.cache_clear()

    async with FakeAws() as fake:
        forget()
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AWS_ENDPOINT_URL_STS", fake.url)
            yield fake
        forget()


async def token(tokens: Tokens) -> tuple[dict[str, str], float]:
    """What is in the token's URL, its host among it, and when librdkafka is told that it expires."""
    text, expiry = await off_loop(tokens, None)
    url = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    parts = {name: value for name, [value] in parse_qs(url.query, strict_parsing=True).items()}
    return {"scheme": url.scheme, "host": url.netloc, "path": url.path, **parts}, expiry


def signed_at(parts: dict[str, str]) -> float:
    return datetime.strptime(parts["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


async def test_a_token_is_a_signed_url_to_connect_in_the_brokers_region(aws: FakeAws) -> None:
    parts, _ = await token(Tokens(AwsIdentity(), "eu-west-1"))
    key, _date, *scope = parts.pop("X-Amz-Credential").split("/")
    assert scope == ["eu-west-1", "kafka-cluster", "aws4_request"]
    assert key == "fake-key"
    assert len(parts.pop("X-Amz-Signature")) == 64
    assert parts.pop("User-Agent").startswith("aws-msk-iam-sasl-signer-python/")
    assert datetime.strptime(parts.pop("X-Amz-Date"), "%Y%m%dT%H%M%SZ")
    assert parts == {
        "scheme": "https",
        "host": "kafka.eu-west-1.amazonaws.com",
        "path": "/",
        "Action": "kafka-cluster:Connect",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Expires": str(LIFE_SECONDS),
        "X-Amz-SignedHeaders": "host",
    }


async def test_what_librdkafka_is_told_is_seconds(aws: FakeAws) -> None:
    before = int(time.time())
    parts, expiry = await token(Tokens(AwsIdentity(), "eu-west-1"))
    assert expiry == signed_at(parts) + LIFE_SECONDS
    assert before + LIFE_SECONDS <= expiry <= time.time() + LIFE_SECONDS


@pytest.mark.parametrize(("minutes", "sooner"), [(14, True), (60, False)])
async def test_a_token_ends_with_the_credentials_that_signed_it(aws: FakeAws, minutes: int, sooner: bool) -> None:
    ends = (datetime.now(UTC) + timedelta(minutes=minutes)).replace(microsecond=0)
    aws.roles_expire = ends.isoformat()
    parts, expiry = await token(Tokens(AwsIdentity(role_arn=ROLE), "eu-west-1"))
    assert parts["X-Amz-Security-Token"] == "t1"
    assert expiry == (ends.timestamp() if sooner else signed_at(parts) + LIFE_SECONDS)


async def test_credentials_are_asked_for_once_and_again_when_they_are_about_to_expire(aws: FakeAws) -> None:
    one, other = (Tokens(AwsIdentity(role_arn=ROLE), "eu-west-1") for _ in range(2))
    aws.roles_expire = (datetime.now(UTC) + timedelta(minutes=60)).isoformat()
    found = [(await token(each))[0]["X-Amz-Security-Token"] for each in (one, other, one, other)]
    assert found == ["t1"] * 4
    credentials.credentials.cache_clear()
    # botocore refreshes what has less than a quarter of an hour
    aws.roles_expire = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    found = [(await token(each))[0]["X-Amz-Security-Token"] for each in (one, other)]
    assert found == ["t2", "t3"]


async def test_a_role_is_assumed_with_its_external_id_where_the_brokers_are(aws: FakeAws) -> None:
    await token(Tokens(AwsIdentity(role_arn=ROLE, external_id="xyz"), "eu-central-1"))
    [call] = aws.calls
    assert call.region == "eu-central-1"
    assert call.params["RoleArn"] == ROLE
    assert call.params["RoleSessionName"] == "penstock"
    assert call.params["ExternalId"] == "xyz"


async def test_without_credentials_there_is_no_token_and_one_line_in_the_log_until_there_are(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings() -> int:
        return sum(record.levelno == logging.WARNING for record in caplog.records)

    tokens = Tokens(AwsIdentity(), "eu-west-1")
    with monkeypatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.delenv(name)
        for _ in range(3):
            with pytest.raises(NoCredentialsError):
                await token(tokens)
    assert warnings() == 1
    await token(tokens)
    assert warnings() == 1


async def test_a_role_that_is_refused_is_tried_again_for_the_next_token(
    aws: FakeAws, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = Tokens(AwsIdentity(role_arn=ROLE), "eu-west-1")
    aws.role_refusal = Refusal("AccessDenied", 403)
    with pytest.raises(ClientError):
        await token(tokens)
    assert "AccessDenied" in str(vars(caplog.records[-1]))
    aws.role_refusal = None
    parts, _ = await token(tokens)
    assert parts["X-Amz-Security-Token"] == "t1"
