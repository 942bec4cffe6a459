"""The one AWS session: what it needs, when it needs it, and what it says if that is missing."""

import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Self

import pytest

from service.aws import session
from service.aws.settings import AwsConfig
from service.errors import ConfigError
from service.outcome import DELIVERED, Outcome, Reason, Retry
from service.sinks.contract import Batch, ProbeError
from service.sinks.kinesis import Kinesis
from tests.contract.fake_aws import FakeAws, Refusal
from tests.contract.harness import event

ROLE = "arn:aws:iam::123456789012:role/writer"


def _forget() -> None:
    session._session.cache_clear()
    session._session_of.cache_clear()


@pytest.fixture
async def aws(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeAws]:
    """The fake, for a process that has no session yet."""
    async with FakeAws() as fake:
        fake.streams["orders"] = []
        _forget()
        with monkeypatch.context() as environment:
            environment.setenv("AWS_ENDPOINT_URL_STS", fake.url)
            yield fake
        _forget()


class Quiet(Kinesis):
    """A sink that makes no calls but those that it is told to: these are counted here."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self.shards.stop()
        return self


def sink(aws: FakeAws, **settings: Any) -> Kinesis:
    config = {"stream": "orders", "region": "eu-west-1", "endpoint_url": aws.url, **settings}
    return Quiet("orders", Kinesis.Config(type="kinesis", **config))


async def write(to: Kinesis) -> Outcome:
    [outcome] = await to.write(Batch([event(0)]))
    return outcome


def test_importing_the_sinks_makes_no_session() -> None:
    code = (
        "import service.sinks.kinesis, service.sinks.sqs, service.sinks.firehose, service.aws.session as s;"
        "assert s._session.cache_info().misses == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_no_region_is_a_configuration_error_that_says_where_to_set_it(aws: FakeAws) -> None:
    with pytest.raises(ConfigError, match="no region; set"):
        await sink(aws, region=None).__aenter__()


async def test_a_profile_that_does_not_exist_is_a_configuration_error(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match="nobody"):
        await sink(aws).__aenter__()


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
async def test_the_region_comes_from_the_environment(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "us-west-2")
    async with sink(aws, region=None) as made:
        assert await write(made) is DELIVERED
    assert aws.calls[-1].region == "us-west-2"


async def test_missing_credentials_are_a_retry_and_a_sentence_and_mend_without_a_restart(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.delenv("AWS_SECRET_ACCESS_KEY")
        async with sink(aws) as made:
            outcome = await write(made)
            assert isinstance(outcome, Retry)
            assert outcome.reason is Reason.CREDENTIALS
            with pytest.raises(ProbeError, match="needs valid AWS credentials: give the task, pod or instance a role"):
                await made.probe()
            without.undo()
            assert await write(made) is DELIVERED


async def test_a_role_is_assumed_with_its_external_id_and_signs_the_calls(aws: FakeAws) -> None:
    async with sink(aws, role_arn=ROLE, external_id="tenant-1") as made:
        assert [await write(made), await write(made)] == [DELIVERED, DELIVERED]
    assumed, *calls = aws.calls
    assert (assumed.params["RoleArn"], assumed.params["ExternalId"]) == (ROLE, "tenant-1")
    assert assumed.access_key == "fake-key"
    assert [(call.operation, call.access_key) for call in calls] == [("PutRecords", "assumed-writer")] * 2


async def test_a_role_is_assumed_again_before_its_credentials_expire(aws: FakeAws) -> None:
    aws.roles_expire = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    async with sink(aws, role_arn=ROLE) as made:
        assert [await write(made), await write(made)] == [DELIVERED, DELIVERED]
    changes = [operation for operation, _ in groupby(call.operation for call in aws.calls)]
    assert changes == ["AssumeRole", "PutRecords"] * 2
    tokens = [call.token for call in aws.calls if call.operation == "PutRecords"]
    assert len(set(tokens)) == 2, "each call is signed with the credentials of its time"
    assert tokens[-1] == f"t{aws.roles_given}"


async def test_a_role_that_may_not_be_assumed_is_a_retry_that_names_the_call(aws: FakeAws) -> None:
    aws.role_refusal = Refusal("AccessDenied", 403)
    async with sink(aws, role_arn=ROLE) as made:
        outcome = await write(made)
        aws.role_refusal = None
        assert await write(made) is DELIVERED
    assert isinstance(outcome, Retry)
    assert outcome.reason is Reason.CREDENTIALS
    assert outcome.detail.startswith("AssumeRole: AccessDenied (HTTP 403")


async def test_entering_needs_no_network(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{aws.url}/credentials")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    aws.hang()
    async with sink(aws, role_arn=ROLE):
        pass
    async with sink(aws):
        pass
    assert aws.calls == []


async def test_the_client_never_repeats_a_call(aws: FakeAws) -> None:
    aws.refusal = Refusal("InternalFailure", 500)
    async with sink(aws) as made:
        await write(made)
    assert len(aws.calls) == 1


async def test_as_many_calls_as_configured_are_in_flight(aws: FakeAws) -> None:
    async with session.client("kinesis", sink(aws, concurrency=40)._config, concurrency=40, call_timeout=8.0) as made:
        assert made.meta.config.max_pool_connections >= 40
        assert made.meta.config.read_timeout < 8.0


@pytest.mark.parametrize(
    ("settings", "bypassed", "expected"),
    [
        ({}, "", True),
        ({}, ".amazonaws.com", False),
        ({}, "kinesis.eu-west-1.amazonaws.com", True),
        ({"region": "eu-west-1"}, "kinesis.eu-west-1.amazonaws.com", False),
        ({"region": "cn-north-1"}, ".amazonaws.com.cn", False),
        ({"endpoint_url": "https://vpce.example.com"}, ".amazonaws.com", True),
    ],
)
def test_a_proxy_is_known_before_the_first_call(
    settings: dict[str, str], bypassed: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = AwsConfig.model_validate(settings)
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert not session.proxied("kinesis", config)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("NO_PROXY", bypassed)
    assert session.proxied("kinesis", config) is expected


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_proxy_is_not_for_the_host_in_the_region_of_the_environment(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _forget()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("NO_PROXY", "kinesis.eu-west-1.amazonaws.com")
    monkeypatch.setenv(variable, "eu-west-1")
    assert not session.proxied("kinesis", AwsConfig())
    _forget()


def test_a_profile_that_does_not_exist_is_not_told_by_who_asks_for_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    _forget()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert session.proxied("kinesis", AwsConfig())
    _forget()
