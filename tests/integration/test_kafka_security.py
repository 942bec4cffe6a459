"""The kafka sink at a real Apache Kafka that asks who it is: over PLAIN, SCRAM, OAUTHBEARER and client certificates."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from deploy.local.kafka_security import KEY_PASSWORD, PASSWORD, USER
from service.aws import credentials
from service.kafka import tokens
from service.kafka.connection import built, connection
from service.kafka.settings import KafkaConfig
from service.outcome import Delivered, Outcome, Reason, Retry
from service.sinks.contract import Batch, ProbeError
from service.sinks.kafka import Kafka
from tests.contract.harness import event
from tests.contract.mock_kafka import messages
from tests.integration.token_provider import CLIENT, SECRET, oidc, unsecured

pytestmark = pytest.mark.real_kafka

TOPIC = "events"
COUNT = 100
RIGHT = {"username": USER, "password": PASSWORD}
WRONG = {"username": USER, "password": "canary-guess"}


@pytest.fixture
def token_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of an OIDC provider, which librdkafka asks past any proxy."""
    for name in ("http_proxy", "all_proxy"):
        for each in (name, name.upper()):
            monkeypatch.delenv(each, raising=False)
    with oidc() as url:
        yield url


class Signer:
    """In the place of AWS's signer: gives tokens that the local broker takes, or not."""

    def __init__(self) -> None:
        self.life_seconds = 900.0
        self.algorithm = "none"
        self.asked = 0

    def __call__(self, region: str, provider: Any) -> tuple[str, int]:
        assert region == "eu-west-1"
        assert provider.load().access_key == "key"
        self.asked += 1
        return unsecured(self.life_seconds, self.algorithm), round((time.time() + self.life_seconds) * 1000)


@pytest.fixture
def signer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Signer]:
    """The fake signer, for a process that has AWS credentials in its environment."""

    def forget() -> None:
        credentials.credentials.cache_clear()
        credentials._session.cache_clear()

    made = Signer()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "key")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setattr(tokens, "generate_auth_token_from_credentials_provider", made)
    forget()
    yield made
    forget()


def sink(broker: str, call_timeout: float = 8.0, **settings: Any) -> Kafka:
    config = {"type": "kafka", "brokers": broker, "topic": TOPIC, "call_timeout": call_timeout, **settings}
    return Kafka("kafka", Kafka.Config.model_validate(config))


def certified(secured_kafka: dict[str, str], who: str) -> dict[str, Any]:
    """The `tls` of the client, or of a stranger."""
    folder = Path(secured_kafka["certificates"])
    files = {"ca_file": folder / "ca.pem", "certificate_file": folder / f"{who}.pem", "key_file": folder / f"{who}.key"}
    return files | ({"key_password": KEY_PASSWORD} if who == "client" else {})


def plain(who: dict[str, str]) -> dict[str, Any]:
    return {"auth": {"plain": who}, "tls": False}


def scram(who: dict[str, str], mechanism: str = "sha512") -> dict[str, Any]:
    return {"auth": {"scram": who | {"mechanism": mechanism}}, "tls": False}


def bearer(url: str, secret: str) -> dict[str, Any]:
    return {"auth": {"oauthbearer": {"token_url": url, "client_id": CLIENT, "client_secret": secret}}, "tls": False}


IAM: dict[str, Any] = {"auth": {"iam": {"region": "eu-west-1"}}, "tls": False}


async def delivers(secured_kafka: dict[str, str], kafka: Kafka) -> None:
    """It takes events, and who asks the broker another way finds each of them."""
    mark = uuid.uuid4().hex
    async with kafka:
        await kafka.probe()
        outcomes = await kafka.write(Batch([event(n, key=f"{mark}-{n}") for n in range(COUNT)]))
    assert {type(outcome) for outcome in outcomes} == {Delivered}
    found = await asyncio.to_thread(lambda: [each.key() or b"" for each in messages(secured_kafka["bootstrap"], TOPIC)])
    assert sum(key.startswith(mark.encode()) for key in found) == COUNT


async def is_refused(kafka: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    """The probe says what to check, and each event is to be tried again, for want of credentials."""
    async with kafka:
        with pytest.raises(ProbeError, match=r"check the `sasl\.\*` .* or `auth` and `tls`") as caught:
            await kafka.probe()
        outcomes = await kafka.write(Batch([event(n) for n in range(COUNT)]))
    assert {_reason(outcome) for outcome in outcomes} == {Reason.CREDENTIALS}
    told = f"{caught.value}{outcomes}{[vars(record) for record in caplog.records]}"
    assert "canary" not in told


def _reason(outcome: Outcome) -> Reason:
    assert isinstance(outcome, Retry)
    return outcome.reason


@pytest.mark.parametrize(
    ("listener", "settings"),
    [("plain", plain(RIGHT)), ("scram", scram(RIGHT)), ("scram", scram(RIGHT, "sha256"))],
    ids=["plain", "sha512", "sha256"],
)
async def test_the_broker_takes_events_of_a_user_that_it_knows(
    secured_kafka: dict[str, str], listener: str, settings: dict[str, Any]
) -> None:
    await delivers(secured_kafka, sink(secured_kafka[listener], **settings))


async def test_the_broker_takes_events_of_a_client_with_a_certificate(secured_kafka: dict[str, str]) -> None:
    await delivers(secured_kafka, sink(secured_kafka["tls"], tls=certified(secured_kafka, "client")))


async def test_the_broker_takes_events_of_a_client_with_a_token_of_its_provider(
    secured_kafka: dict[str, str], token_url: str
) -> None:
    await delivers(secured_kafka, sink(secured_kafka["oauthbearer"], **bearer(token_url, SECRET)))


async def test_the_broker_takes_events_of_a_client_with_a_token_of_ours(
    secured_kafka: dict[str, str], signer: Signer
) -> None:
    await delivers(secured_kafka, sink(secured_kafka["oauthbearer"], **IAM))
    assert signer.asked == 1


@pytest.mark.parametrize("way", ["iam", "oidc"])
async def test_consumers_and_administrators_get_in_the_same_way(
    secured_kafka: dict[str, str], signer: Signer, token_url: str, way: str
) -> None:
    """They are not served by a thread of ours while they wait for their first token."""
    settings = IAM if way == "iam" else bearer(token_url, SECRET)
    config = KafkaConfig.model_validate({"brokers": secured_kafka["oauthbearer"], **settings})

    def topics() -> list[set[str]]:
        consumer = built(Consumer, {**connection(config), "group.id": "readers"})
        try:
            admin = built(AdminClient, connection(config))
            return [set(client.list_topics(timeout=10).topics) for client in (consumer, admin)]
        finally:
            consumer.close()

    assert all(TOPIC in found for found in await asyncio.to_thread(topics))


async def test_a_connection_outlives_its_tokens(secured_kafka: dict[str, str], signer: Signer) -> None:
    """The broker ends a connection when its token expires, unless it has shown another by then."""
    signer.life_seconds = 4.0
    seen = set[type[Outcome]]()
    async with sink(secured_kafka["oauthbearer"], **IAM) as kafka, asyncio.timeout(30):
        numbers = iter(range(10**6))
        while signer.asked < 4:
            seen |= {type(outcome) for outcome in await kafka.write(Batch([event(next(numbers))]))}
            await asyncio.sleep(0.01)
        seen |= {type(outcome) for outcome in await kafka.write(Batch([event(next(numbers))]))}
    assert seen == {Delivered}


async def test_a_sink_without_a_token_begins_all_the_same_and_delivers_once_it_has_one(
    secured_kafka: dict[str, str], signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as environment:
        environment.delenv("AWS_ACCESS_KEY_ID")
        environment.delenv("AWS_SECRET_ACCESS_KEY")
        kafka = await sink(secured_kafka["oauthbearer"], **IAM).__aenter__()
        [outcome] = await kafka.write(Batch([event(1)]))
        assert _reason(outcome) is Reason.CREDENTIALS
        with pytest.raises(ProbeError, match="no token could be made: NoCredentialsError: Unable to locate"):
            await kafka.probe()
    try:
        async with asyncio.timeout(30):
            while type((await kafka.write(Batch([event(1)])))[0]) is not Delivered:
                await asyncio.sleep(0.01)
    finally:
        await kafka.__aexit__(None, None, None)


async def test_credentials_may_go_bad_and_come_right_and_what_is_told_of_each_event_is_true(
    secured_kafka: dict[str, str], signer: Signer
) -> None:
    signer.life_seconds = 4.0
    mark, told = uuid.uuid4().hex, dict[str, Outcome]()

    async def until(kafka: Kafka, wanted: type[Outcome] | Reason) -> None:
        while True:
            key = f"{mark}-{len(told)}"
            [told[key]] = await kafka.write(Batch([event(0, key=key)]))
            if wanted in (type(told[key]), getattr(told[key], "reason", None)):
                return
            await asyncio.sleep(0.01)

    async with sink(secured_kafka["oauthbearer"], 3.0, **IAM) as kafka, asyncio.timeout(60):
        await until(kafka, Delivered)
        signer.algorithm = "HS256"
        await until(kafka, Reason.CREDENTIALS)
        signer.algorithm = "none"
        await until(kafka, Delivered)
    found = await asyncio.to_thread(lambda: {each.key() for each in messages(secured_kafka["bootstrap"], TOPIC)})
    there = {key: key.encode() in found for key in told}
    assert all(there[key] for key, outcome in told.items() if isinstance(outcome, Delivered))
    refused = [key for key, outcome in told.items() if getattr(outcome, "reason", None) is Reason.CREDENTIALS]
    assert not any(there[key] for key in refused)


@pytest.mark.parametrize(
    ("listener", "settings"), [("plain", plain(WRONG)), ("scram", scram(WRONG))], ids=["plain", "scram"]
)
async def test_a_wrong_password_is_trouble_with_credentials(
    secured_kafka: dict[str, str], listener: str, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    await is_refused(sink(secured_kafka[listener], 3.0, **settings), caplog)


@pytest.mark.parametrize("who", ["stranger", "nobody"])
async def test_a_certificate_that_the_broker_does_not_know_is_trouble_with_credentials(
    secured_kafka: dict[str, str], who: str, caplog: pytest.LogCaptureFixture
) -> None:
    tls = certified(secured_kafka, "stranger")
    if who == "nobody":
        tls = {"ca_file": tls["ca_file"]}
    await is_refused(sink(secured_kafka["tls"], 3.0, tls=tls), caplog)


async def test_a_token_that_the_broker_does_not_take_is_trouble_with_credentials(
    secured_kafka: dict[str, str], signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    signer.algorithm = "HS256"
    await is_refused(sink(secured_kafka["oauthbearer"], 3.0, **IAM), caplog)


async def test_a_provider_that_gives_no_token_is_trouble_with_credentials(
    secured_kafka: dict[str, str], token_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = bearer(token_url, "canary-guess")
    await is_refused(sink(secured_kafka["oauthbearer"], 3.0, **settings), caplog)


async def test_what_was_refused_for_its_password_is_delivered_with_the_right_one(
    secured_kafka: dict[str, str], tmp_path: Path
) -> None:
    file, mark = tmp_path / "password", uuid.uuid4().hex
    settings = scram({"username": USER, "password_file": str(file)})
    batch = Batch([event(n, key=f"{mark}-{n}") for n in range(COUNT)])
    outcomes: list[set[type[Outcome]]] = []
    for password in ("guess", PASSWORD):
        file.write_text(password)
        async with sink(secured_kafka["scram"], 3.0, **settings) as kafka:
            outcomes.append({type(outcome) for outcome in await kafka.write(batch)})
    assert outcomes == [{Retry}, {Delivered}]
    found = await asyncio.to_thread(lambda: [each.key() or b"" for each in messages(secured_kafka["bootstrap"], TOPIC)])
    assert sorted(key for key in found if key.startswith(mark.encode())) == sorted(
        f"{mark}-{n}".encode() for n in range(COUNT)
    )
