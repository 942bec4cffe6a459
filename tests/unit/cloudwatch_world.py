"""Services of several kinds to watch, each from a configuration as an operator writes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from service.cloudwatch.watched import Watched, watched
from service.config import load

SMALL: dict[str, Any] = {
    "sinks": {"data": {"type": "memory"}},
    "routes": {"orders": {"to": ["data"]}},
}
"""The least there is."""

TLS = {"certificate": "tls.crt", "key": "tls.key"}
ISSUER = {"issuer": "https://login.example.com", "audience": "events"}

MIXED: dict[str, Any] = {
    "aws": {"region": "eu-west-1"},
    "server": {"tls": TLS, "auth": {"jwt": ISSUER}},
    "journal": {"path": "journal", "volume": "ephemeral"},
    "sinks": {
        "stream": {"type": "kinesis", "stream": "orders", "patience": "22s", "call_timeout": "4s", "fallback": "spare"},
        "lake": {"type": "firehose", "delivery_stream": "orders"},
        "spare": {"type": "sqs", "queue": "spare", "call_timeout": "6s"},
        "letters": {"type": "sqs", "queue": "letters"},
        "unused": {"type": "memory"},
    },
    "routes": {
        "orders": {"to": ["stream", {"sink": "lake", "required": False}], "dead_letter": "letters"},
        "order_lines": {"to": ["stream"], "ack": "stored", "dead_letter": "letters"},
    },
    "sources": {
        "msk": {
            "type": "kafka",
            "brokers": "127.0.0.1:9",
            "group": "g",
            "topics": {"t": "orders"},
            "max_message": "64KiB",
        },
        "uploads": {"type": "sqs", "queue": "uploads", "route": "orders", "max_message": "64KiB"},
        "unasked": {"type": "sqs", "queue": "other", "route": "orders", "max_message": "64KiB", "lag_interval": 0},
        "clicks": {"type": "firehose", "route": "orders", "max_message": "64KiB"},
    },
}
"""Everything that makes a difference: TLS, tokens, fallbacks, best effort, dead letters, a journal, and every kind of
source."""


def large(sinks: int = 20, routes: int = 100) -> dict[str, Any]:
    """A configuration of that size."""
    return {
        "aws": {"region": "eu-west-1"},
        "server": {"memory": "8GiB"},
        "sinks": {
            **{f"sink_{n}": {"type": "kinesis", "stream": f"stream-{n}"} for n in range(sinks)},
            "letters": {"type": "sqs", "queue": "letters"},
        },
        "routes": {
            f"route_number_{n}": {
                "to": [f"sink_{n % sinks}", {"sink": f"sink_{(n + 1) % sinks}", "required": False}],
                "dead_letter": "letters",
            }
            for n in range(routes)
        },
    }


def written(folder: Path, settings: dict[str, Any]) -> Path:
    """The file of a configuration."""
    path = folder / "penstock.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def watching(folder: Path, settings: dict[str, Any], service: str = "shop", **own: Any) -> Watched:
    """What is watched of a service with these settings, `own` being others of the section `cloudwatch`."""
    section = {"service": service.replace("$", "$$"), **own}
    return watched(load(written(folder, settings | {"cloudwatch": section}), {}))


def lines(widget: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """What a graph shows, written out: `...` stands for what the line before it begins with."""
    before: tuple[str, ...] = ()
    for *words, options in widget["properties"].get("metrics", ()):
        if words:
            whole = (*before[:-1], *words[1:]) if words[0] == "..." else tuple(words)
            before = whole
            yield whole, options
        else:
            before = ()
