"""Brokers, topics and librdkafka properties as a user writes them."""

import re
from typing import Final

from service.units import is_host

_SECRETS: Final = ("password", "secret", "pem", "oauthbearer.config")

_BROKER: Final = re.compile(r"(?P<host>[^:\[\]]+|\[(?P<ipv6>[^\[\]]*:[^\[\]]*)\])(?::(?P<port>[0-9]{1,5}))?")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


def is_secret(name: str) -> bool:
    """Whether the value of this property must never be shown."""
    return any(word in name for word in _SECRETS)


def checked_broker(text: str) -> str:
    """`text`, a broker's `host:port` or `host`, without blanks around it. Raises ValueError if it is none."""
    match = _BROKER.fullmatch(text.strip())
    if match is None or not is_host(match["ipv6"] or match["host"]) or not 0 < int(match["port"] or 9092) < 2**16:
        _, at, rest = text.strip().rpartition("@")
        shown = f"***@{rest}" if at else rest  # a password may stand before it
        raise ValueError(
            f"{shown[:80]!r} is no broker: write host:port, several separated by commas, "
            "such as b-1.example.com:9092,b-2.example.com:9092"
        )
    return match[0]


def checked_topic(text: str) -> str:
    """`text`, a topic's name (Apache Kafka, `Topic.validate`). Raises ValueError if it is none."""
    if not _TOPIC.fullmatch(text) or text in (".", ".."):
        raise ValueError(f"{text[:80]!r} is no topic: 1 to 249 characters of letters, digits and ._-")
    return text


def host_of(broker: str) -> str:
    """The host of a broker that was checked; of an IPv6 address without its brackets."""
    match = _BROKER.fullmatch(broker)
    assert match is not None
    return match["ipv6"] or match["host"]
