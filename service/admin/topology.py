"""How the service is laid out, as its configuration says: sources, routes, lanes, and the ways between them."""

from enum import StrEnum

from msgspec import Struct

from service.config import Config
from service.config.receiving import reached
from service.config.settings import RouteConfig
from service.sinks.contract import SinkConfig

HTTP = "http"
"""The source that is always there; a label of metrics."""
_TARGETS = ("stream", "delivery_stream", "queue", "topic", "path")
"""Settings that name a destination. None of them can hold a secret."""


class Kind(StrEnum):
    """What a way from a route to a lane is for. Closed set."""

    REQUIRED = "required"
    BEST_EFFORT = "best_effort"
    DEAD_LETTER = "dead_letter"
    FALLBACK = "fallback"


class Origin(Struct, frozen=True):
    """A source."""

    name: str
    type: str
    routes: list[str]
    """That it brings events to."""


class Way(Struct, frozen=True):
    """From a route to a lane."""

    sink: str
    kind: Kind


class Stream(Struct, frozen=True):
    """A route."""

    name: str
    ack: str
    ways: list[Way]


class Destination(Struct, frozen=True):
    """A sink, and what it writes to."""

    name: str
    type: str
    target: str
    """The name of the stream, queue, topic or folder; empty where the sink has none."""


class Topology(Struct, frozen=True):
    """All of it, in the order of the configuration."""

    sources: list[Origin]
    routes: list[Stream]
    destinations: list[Destination]


def topology(config: Config) -> Topology:
    """That of a configuration."""
    return Topology(
        sources=[Origin(HTTP, HTTP, list(config.routes))]
        + [
            Origin(name, source.type, sorted(reached(source, config.routes))) for name, source in config.sources.items()
        ],
        routes=[Stream(name, route.ack, _ways(route, config)) for name, route in config.routes.items()],
        destinations=[
            Destination(name, sink.type, _target(sink)) for name, sink in config.sinks.items() if name in config.started
        ],
    )


def _ways(route: RouteConfig, config: Config) -> list[Way]:
    ways = {to.sink: Kind.REQUIRED if to.required else Kind.BEST_EFFORT for to in route.to}
    for to in route.to:
        if (fallback := config.sinks[to.sink].fallback) is not None:
            ways.setdefault(fallback, Kind.FALLBACK)
    if route.dead_letter is not None:
        ways.setdefault(route.dead_letter.sink, Kind.DEAD_LETTER)
    return [Way(sink, kind) for sink, kind in ways.items()]


def _target(sink: SinkConfig) -> str:
    for name in _TARGETS:
        if (value := getattr(sink, name, None)) is not None:
            text = str(value)
            # of an ARN or a URL the name at its end
            return text if name == "path" else text.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    return ""
