"""librdkafka's configuration for the kafka source: what it owns, and what a property of the user may be."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from service.kafka.connection import connection

if TYPE_CHECKING:
    from service.sources.kafka.source import Kafka

OWNED: Final = frozenset(
    {
        "allow.auto.create.topics",
        "auto.commit.enable",
        "auto.commit.interval.ms",
        "auto.offset.reset",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "fetch.max.bytes",
        "fetch.message.max.bytes",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "heartbeat.interval.ms",
        "isolation.level",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "message.max.bytes",
        "partition.assignment.strategy",
        "queued.max.messages.kbytes",
        "receive.message.max.bytes",
        "session.timeout.ms",
    }
)
WHY_OWNED: Final = (
    "cannot be set here: the source sets it so that nothing is committed too early and memory stays bounded. Use "
    "`group`, `protocol`, `instance_id`, `start`, `isolation`, `session_timeout`, `max_poll_interval`, "
    "`max_message` or `memory` for what they name; remove this"
)


def librdkafka(config: "Kafka.Config") -> Mapping[str, Any]:
    """Everything (librdkafka, CONFIGURATION.md). What the source owns cannot be overridden.

    As `connection`, it reads the files of secrets, and raises SettingErrors if that fails.
    """
    fetched = max(config.memory // 2, config.max_message + 2**16)
    start = config.start
    settings: dict[str, Any] = {
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 10_000,
        "log.connection.close": False,
        **connection(config),
        "group.id": config.group,
        "group.protocol": config.protocol,
        # what is committed is ours to say
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "allow.auto.create.topics": False,
        "auto.offset.reset": "earliest" if isinstance(start, datetime) else start,
        "isolation.level": config.isolation,
        "max.poll.interval.ms": int(config.max_poll_interval * 1000),
        # of the one queue that everything fetched waits in
        "queued.max.messages.kbytes": max(1024, fetched // 1024),
        "fetch.max.bytes": fetched,
        "max.partition.fetch.bytes": min(fetched, max(2**20, config.max_message)),
        "receive.message.max.bytes": fetched + 2**20,
        "message.max.bytes": min(max(1000, config.max_message), fetched),
    }
    if config.instance_id is not None:
        settings["group.instance.id"] = config.instance_id
    if config.protocol == "classic":
        settings["partition.assignment.strategy"] = "cooperative-sticky"
        settings["session.timeout.ms"] = session = int(config.session_timeout * 1000)
        settings["heartbeat.interval.ms"] = min(3000, session // 4)
    return settings
