"""librdkafka's configuration for the kafka sink: what the sink owns, and what a property of the user may be."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from service.units import is_host

if TYPE_CHECKING:
    from service.sinks.kafka import Kafka

HEADROOM_BYTES: Final = 48_000
"""Room for headers and framing beside `max_message`; with its default within Kafka's own max.message.bytes."""

_OWNED: Final = frozenset(
    {
        "acks",
        "allow.auto.create.topics",
        "batch.num.messages",
        "batch.size",
        "bootstrap.servers",
        "client.id",
        "compression.codec",
        "compression.type",
        "delivery.timeout.ms",
        "enable.gapless.guarantee",
        "enable.idempotence",
        "linger.ms",
        "logger",
        "message.max.bytes",
        "message.timeout.ms",
        "metadata.broker.list",
        "partitioner",
        "request.required.acks",
        "request.timeout.ms",
        "transactional.id",
    }
)
_OWNED_FAMILIES: Final = ("queue.", "delivery.report.", "test.")
WHY_OWNED: Final = (
    "cannot be set here: the sink sets it so that no acknowledged event is lost and memory stays bounded. Use "
    "`brokers`, `compression`, `client_id`, `max_message`, `call_timeout` or `memory` for what they name; remove this"
)
_SECRETS: Final = ("password", "secret", "pem", "oauthbearer.config")

_BROKER: Final = re.compile(r"(?P<host>[^:\[\]]+|\[(?P<ipv6>[^\[\]]*:[^\[\]]*)\])(?::(?P<port>[0-9]{1,5}))?")


def is_owned(name: str) -> bool:
    """Whether the sink itself sets this property, because its promises hang on it."""
    return name in _OWNED or name.startswith(_OWNED_FAMILIES) or name.endswith("_cb")


def is_secret(name: str) -> bool:
    """Whether the value of this property must never be shown."""
    return any(word in name for word in _SECRETS)


def settings(config: "Kafka.Config") -> Mapping[str, Any]:
    """librdkafka's configuration (librdkafka, CONFIGURATION.md). What the sink owns cannot be overridden."""
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
        **config.properties,
        "bootstrap.servers": config.brokers,
        "client.id": config.client_id,
        "acks": "all",
        "enable.idempotence": True,
        "allow.auto.create.topics": False,
        "partitioner": "murmur2_random",
        "compression.type": config.compression,
        "linger.ms": 0,
        "delivery.timeout.ms": milliseconds,
        "request.timeout.ms": milliseconds,
        "message.max.bytes": config.max_message + HEADROOM_BYTES,
        # well below any topic's max.message.bytes: then only an event of its own can be too large
        "batch.size": 128 * 1024,
        # the lane holds all that is in here; more than that are only messages of writes given up
        "queue.buffering.max.kbytes": min(max(config.memory, 2 * config.max_message), 512 * 2**20) // 1024 + 1,
        "queue.buffering.max.messages": 0,
    }


def checked_broker(text: str) -> str:
    """`text`, a broker's `host:port` or `host`, without blanks around it. Raises ValueError if it is none."""
    match = _BROKER.fullmatch(text.strip())
    if match is None or not is_host(match["ipv6"] or match["host"]) or not 0 < int(match["port"] or 9092) < 2**16:
        raise ValueError(
            f"{text.strip()[:80]!r} is no broker: write host:port, several separated by commas, "
            "such as b-1.example.com:9092,b-2.example.com:9092"
        )
    return match[0]


def delivery_seconds(config: "Kafka.Config") -> float:
    """When librdkafka gives a message up: it looks once a second, and must have spoken before `call_timeout`."""
    return max(config.call_timeout - 1.5, config.call_timeout / 2)
