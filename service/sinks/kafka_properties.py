"""librdkafka's configuration for the kafka sink: what the sink owns, and what a property of the user may be."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from service.kafka.connection import connection

if TYPE_CHECKING:
    from service.sinks.kafka import Kafka

HEADROOM_BYTES: Final = 48_000
"""Room for headers and framing beside `max_message`; with its default within Kafka's own max.message.bytes."""

LINGER_MS: Final = 5
"""Most that librdkafka waits after the lane has: its own default."""

OWNED: Final = frozenset(
    {
        "acks",
        "allow.auto.create.topics",
        "batch.num.messages",
        "batch.size",
        "compression.codec",
        "compression.type",
        "delivery.timeout.ms",
        "enable.gapless.guarantee",
        "enable.idempotence",
        "linger.ms",
        "message.max.bytes",
        "message.timeout.ms",
        "partitioner",
        "request.required.acks",
        "request.timeout.ms",
        "transactional.id",
    }
)
OWNED_FAMILIES: Final = ("queue.", "delivery.report.")
WHY_OWNED: Final = (
    "cannot be set here: the sink sets it so that no acknowledged event is lost and memory stays bounded. Use "
    "`brokers`, `compression`, `client_id`, `max_message`, `call_timeout` or `memory` for what they name; remove this"
)


def settings(config: "Kafka.Config") -> Mapping[str, Any]:
    """librdkafka's configuration (librdkafka, CONFIGURATION.md). What the sink owns cannot be overridden.

    As `connection`, it reads the files of secrets, and raises SettingErrors if that fails.
    """
    milliseconds = int(delivery_seconds(config) * 1000)
    own_defaults = {
        "log.connection.close": False,
        # a broker that is back is found within a second
        "reconnect.backoff.max.ms": 1000,
        # a topic that was created, or allowed, after it was refused is found within these
        "topic.metadata.refresh.interval.ms": 10_000,
        "topic.metadata.propagation.max.ms": 2000,
    }
    return {
        **own_defaults,
        **connection(config),
        "acks": "all",
        "enable.idempotence": True,
        "allow.auto.create.topics": False,
        "partitioner": "murmur2_random",
        "compression.type": config.compression,
        # without, a message is on its way at once, which wakes a broker's thread for nearly each: on one core with the
        # event loop these threads take 12 us of CPU per event, and 4 with 5 ms (bench.consume)
        "linger.ms": min(LINGER_MS, config.linger * 1000, milliseconds / 2),
        "delivery.timeout.ms": milliseconds,
        "request.timeout.ms": milliseconds,
        "message.max.bytes": config.max_message + HEADROOM_BYTES,
        # well below any topic's max.message.bytes: then only an event of its own can be too large
        "batch.size": 128 * 1024,
        # the lane holds all that is in here; more than that are only messages of writes given up
        "queue.buffering.max.kbytes": min(max(config.memory, 2 * config.max_message), 512 * 2**20) // 1024 + 1,
        "queue.buffering.max.messages": 0,
    }


def delivery_seconds(config: "Kafka.Config") -> float:
    """When librdkafka gives a message up: it looks once a second, and must have spoken before `call_timeout`."""
    return max(config.call_timeout - 1.5, config.call_timeout / 2)
