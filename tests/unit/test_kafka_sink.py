"""The kafka sink: headers, settings, what each error means, and troubles only a Kafka client has."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError
from pydantic import ValidationError

from deploy.local.mock_cluster import PRODUCE, MockCluster
from service.errors import ConfigError
from service.event import STRUCTURED
from service.outcome import Delivered, Outcome, Reason, Rejected, Retry
from service.sinks.contract import Batch, ProbeError
from service.sinks.kafka import Kafka
from service.sinks.kafka_errors import UNCLEAR, refused
from service.sinks.kafka_headers import headers
from service.sinks.kafka_properties import settings
from tests.contract.harness import event
from tests.contract.mock_kafka import messages, murmur2

ATTRIBUTES = {"id": "1", "source": "/ü", "type": "t", "specversion": "1.0", "partitionkey": "k"}
CE_HEADERS = [(f"ce_{name}", value) for name, value in ATTRIBUTES.items()]


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster(["orders"], partitions=2, brokers=1) as started:
        yield started


def config(brokers: str = "localhost:9092", **changes: Any) -> Kafka.Config:
    return Kafka.Config(**{"type": "kafka", "brokers": brokers, "topic": "orders", **changes})


def sink(cluster: MockCluster, **changes: Any) -> Kafka:
    return Kafka("mirror", config(cluster.bootstrap, **changes))


async def write(to: Kafka, *numbers: int, **changes: Any) -> list[Outcome]:
    return list(await to.write(Batch([event(n, **changes) for n in numbers])))


def reasons(outcomes: list[Outcome]) -> list[Reason | None]:
    return [None if isinstance(each, Delivered) else each.reason for each in outcomes]


# --- headers: CloudEvents 1.0, Kafka protocol binding


def test_a_binary_event_has_its_media_type_and_every_other_attribute_with_a_prefix() -> None:
    attributes = {**ATTRIBUTES, "datacontenttype": "text/csv; header=present"}
    made = headers(event(1, b"a,b", content_type="text/csv", attributes=attributes))
    assert made == [("content-type", "text/csv; header=present"), *CE_HEADERS]


def test_a_structured_event_keeps_its_media_type_and_has_the_same_prefixed_headers() -> None:
    attributes = {**ATTRIBUTES, "datacontenttype": "application/json"}
    made = headers(event(1, content_type=STRUCTURED, attributes=attributes))
    assert made == [("content-type", STRUCTURED), *CE_HEADERS]


def test_an_event_without_an_envelope_has_the_media_type_of_its_body() -> None:
    assert headers(event(1, attributes=ATTRIBUTES)) == [("content-type", "application/json"), *CE_HEADERS]


def test_an_event_without_data_claims_no_media_type() -> None:
    assert headers(event(1, b"", content_type="application/octet-stream", attributes=ATTRIBUTES)) == CE_HEADERS


async def test_only_a_binary_event_without_data_is_a_tombstone_and_only_a_missing_key_is_null(
    cluster: MockCluster,
) -> None:
    async with sink(cluster) as kafka:
        tombstone = event(0, b"")
        whole = event(1, b'{"id":"1"}', content_type=STRUCTURED, key=None)
        assert reasons(list(await kafka.write(Batch([tombstone, whole])))) == [None, None]
    found = {message.key(): message.value() for message in await asyncio.to_thread(_all, cluster)}
    assert found == {b"key-0": None, None: b'{"id":"1"}'}


def _all(cluster: MockCluster) -> list[Any]:
    return list(messages(cluster.bootstrap, "orders"))


# --- settings


@pytest.mark.parametrize(
    "name",
    ["acks", "enable.idempotence", "queue.buffering.max.kbytes", "linger.ms", "error_cb", "test.mock.num.brokers"],
)
def test_a_property_on_which_the_promises_hang_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(ValidationError, match="cannot be set here: the sink sets it"):
        config(properties={name: "0"})


def test_secrets_among_the_properties_are_not_shown() -> None:
    properties = {"sasl.username": "penstock", "sasl.password": "hidden", "ssl.key.pem": "hidden"}
    shown = config(properties=properties).model_dump_json()
    assert "hidden" not in shown
    assert json.loads(shown)["properties"]["sasl.username"] == "penstock"


@pytest.mark.parametrize("call_timeout", [0.2, 2.0, 8.0, 60.0])
def test_librdkafka_gives_up_before_the_call_does(call_timeout: float) -> None:
    given_up = settings(config(call_timeout=call_timeout))["delivery.timeout.ms"] / 1000
    assert 0 < given_up < call_timeout


@pytest.mark.parametrize(("linger", "milliseconds"), [("0s", 0), ("2ms", 2), ("5ms", 5), ("1m", 5)], ids=str)
def test_librdkafka_waits_as_the_lane_does_but_not_for_long(linger: str, milliseconds: float) -> None:
    assert settings(config(linger=linger))["linger.ms"] == milliseconds


def test_librdkafka_takes_a_linger_beside_the_shortest_of_call_timeouts() -> None:
    assert settings(config(linger="1m", call_timeout=0.004))["linger.ms"] == 1


@pytest.mark.parametrize(("memory", "kibibytes"), [("64MiB", 64 * 1024 + 1), ("8GiB", 512 * 1024 + 1)])
def test_librdkafkas_queue_is_bounded_by_the_lanes_memory(memory: str, kibibytes: int) -> None:
    assert settings(config(memory=memory))["queue.buffering.max.kbytes"] == kibibytes


async def test_what_librdkafka_refuses_only_at_start_is_a_configuration_error(
    cluster: MockCluster, tmp_path: Path
) -> None:
    authorities = tmp_path / "authorities"
    authorities.mkdir()
    kafka = sink(cluster, properties={"security.protocol": "ssl", "ssl.ca.location": str(authorities)})
    authorities.rmdir()
    with pytest.raises(ConfigError, match=r"sinks\.mirror\.properties: .*ssl\.ca\.location"):
        await kafka.__aenter__()


# --- what an error means


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Reason.ACCESS_DENIED),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, Reason.ACCESS_DENIED),
        (KafkaError.SASL_AUTHENTICATION_FAILED, Reason.CREDENTIALS),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Reason.NOT_FOUND),
        (KafkaError._UNKNOWN_TOPIC, Reason.NOT_FOUND),
        (KafkaError._MSG_TIMED_OUT, Reason.TIMEOUT),
        (KafkaError._TRANSPORT, Reason.CONNECTION_LOST),
        (KafkaError._PURGE_INFLIGHT, Reason.CONNECTION_LOST),
        (KafkaError._PURGE_QUEUE, Reason.UNAVAILABLE),
        (KafkaError.NOT_ENOUGH_REPLICAS, Reason.UNAVAILABLE),
        (KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, Reason.INTERNAL),
        (KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, Reason.INTERNAL),
        (KafkaError._INVALID_DIFFERENT_RECORD, Reason.UNAVAILABLE),
        (KafkaError.THROTTLING_QUOTA_EXCEEDED, Reason.THROTTLED),
        (KafkaError.UNKNOWN, Reason.INTERNAL),
    ],
)
def test_trouble_with_the_destination_is_tried_again(code: int, reason: Reason) -> None:
    outcome = refused(KafkaError(code), alone=False)
    assert isinstance(outcome, Retry)
    assert outcome.reason is reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [(KafkaError.INVALID_RECORD, Reason.REFUSED_CONTENT), (KafkaError.MSG_SIZE_TOO_LARGE, Reason.TOO_LARGE)],
)
def test_a_broker_condemns_an_event_only_if_it_was_alone_in_its_message_set(code: int, reason: Reason) -> None:
    condemned = refused(KafkaError(code), alone=True)
    assert isinstance(condemned, Rejected)
    assert condemned.reason is reason
    assert refused(KafkaError(code), alone=False) is UNCLEAR


async def test_those_in_a_refused_message_set_are_judged_one_by_one(cluster: MockCluster) -> None:
    batch = Batch([event(n, key="same") for n in range(5)])
    async with sink(cluster) as kafka:
        cluster.fail_requests(PRODUCE, KafkaError.INVALID_RECORD, times=1)
        assert reasons(list(await kafka.write(batch))) == [None] * 5
        cluster.fail_requests(PRODUCE, KafkaError.INVALID_RECORD)
        assert {type(outcome) for outcome in await kafka.write(batch)} == {Rejected}
    assert "kafka mirror" not in {thread.name for thread in threading.enumerate()}
    found = [message.value() for message in await asyncio.to_thread(_all, cluster)]
    assert sorted(found) == [made.body for made in batch.events]


async def test_a_key_that_is_not_unicode_is_rejected_and_harms_nothing_else(cluster: MockCluster) -> None:
    async with sink(cluster) as kafka:
        outcomes = await kafka.write(Batch([event(0), event(1, key="\ud800"), event(2)]))
    assert reasons(list(outcomes)) == [None, Reason.REFUSED_CONTENT, None]


# --- a Kafka client's own troubles


async def test_after_a_fatal_error_a_new_producer_delivers_what_the_old_one_did_not(cluster: MockCluster) -> None:
    async with sink(cluster) as kafka:
        cluster.fail_requests(PRODUCE, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, times=1)
        assert reasons(await write(kafka, 1)) == [Reason.INTERNAL]
        async with asyncio.timeout(30):
            while await _probe_fails(kafka):
                await asyncio.sleep(0.01)
        assert reasons(await write(kafka, 1)) == [None]
    assert [message.key() for message in await asyncio.to_thread(_all, cluster)] == [b"key-1"]


async def _probe_fails(kafka: Kafka) -> bool:
    try:
        await kafka.probe()
    except ProbeError:
        return True
    return False


async def test_a_topic_that_is_created_later_is_found(cluster: MockCluster) -> None:
    fast = {"topic.metadata.propagation.max.ms": "50", "topic.metadata.refresh.interval.ms": "50"}
    async with sink(cluster, topic="later", properties=fast) as kafka:
        assert reasons(await write(kafka, 1)) == [Reason.NOT_FOUND]
        cluster.create_topic("later", 1)
        async with asyncio.timeout(30):
            while reasons(await write(kafka, 1)) == [Reason.NOT_FOUND]:
                await asyncio.sleep(0.01)
        assert reasons(await write(kafka, 1)) == [None]


async def test_what_does_not_fit_librdkafkas_queue_is_tried_again_and_the_rest_is_awaited(cluster: MockCluster) -> None:
    cluster.down()
    async with sink(cluster, memory="64KiB", max_message=1024, call_timeout=0.5) as kafka:
        outcomes = reasons(await write(kafka, *range(100), body=b"x" * 1000))
        taken = outcomes.index(Reason.UNAVAILABLE)
        assert 60 <= taken < 70
        assert outcomes == [Reason.TIMEOUT] * taken + [Reason.UNAVAILABLE] * (100 - taken)


async def test_a_broken_state_is_warned_about_once_and_again_after_it_was_mended(
    cluster: MockCluster, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings() -> int:
        own = [record for record in caplog.records if record.name == "service.sinks.kafka_producer"]
        return sum(record.levelno >= logging.WARNING and vars(record)["facility"] == "FAIL" for record in own)

    async with sink(cluster, call_timeout=2.5) as kafka:
        assert reasons(await write(kafka, 0)) == [None]
        cluster.down()
        [outcome] = await write(kafka, 1)
        assert isinstance(outcome, Retry)
        assert "Connection refused" in outcome.detail
        assert warnings() == 1
        cluster.up()
        async with asyncio.timeout(30):
            while reasons(await write(kafka, 2)) != [None]:
                pass
        assert warnings() == 1
        cluster.down()
        assert reasons(await write(kafka, 3)) == [Reason.TIMEOUT]
        assert warnings() == 2


async def test_a_probe_of_brokers_that_are_not_there_says_what_to_check(cluster: MockCluster) -> None:
    cluster.down()
    async with sink(cluster, call_timeout=1.0) as kafka:
        with pytest.raises(ProbeError, match=r"no broker answered .*check `brokers`"):
            await kafka.probe()


async def test_a_probe_with_credentials_the_broker_does_not_take_points_at_them(cluster: MockCluster) -> None:
    sasl = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
    sasl |= {"sasl.username": "penstock", "sasl.password": "hidden"}
    async with sink(cluster, call_timeout=1.0, properties=sasl) as kafka:
        with pytest.raises(ProbeError, match=r"check the `sasl\.\*`") as caught:
            await kafka.probe()
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "expected"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536), (b"abc", 479470107)],
)
def test_the_tests_own_hash_is_javas(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected % 2**32
