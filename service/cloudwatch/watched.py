"""What of a configuration is watched in CloudWatch: the values that the dimensions of its metrics have."""

from collections.abc import Mapping, Sequence
from math import ceil

from msgspec import Struct

from service.cloudwatch.names import BY_NAME, By, Part
from service.config import Config
from service.config.auth import Auth
from service.receiving.contract import SourceConfig

MINUTE = 60

_LAGGING = frozenset({"kafka", "sqs"})
"""Types of sources that know how far they are behind; of another the metric may never come."""
_RECORDING = frozenset({"kinesis"})
"""Types of sinks whose records may hold many events, and are counted."""


class WatchedSink(Struct, frozen=True):
    """One sink that is started."""

    slow_seconds: float
    """Age of an event from which it is too slow, as `/status` has it."""
    produced: bool
    """Whether routes go to it, or another sink's events when that is broken. Dead letters alone: they are never given
    back, and never become dead letters again."""
    drops: bool
    """Whether it may lose events: of a best-effort sink, or dead letters when a worker dies."""
    records: bool
    """Whether its records are counted, of which each may hold many events."""


class Watched(Struct, frozen=True):
    """One service: everything that has metrics of its own."""

    namespace: str
    own: Mapping[str, str]
    """Dimensions of every metric, by name: `Service`, and those of the configuration."""
    interval_seconds: float
    """How often metrics are published."""
    routes: Sequence[str]
    sinks: Mapping[str, WatchedSink]
    sources: Sequence[str]
    """Those that know their lag."""
    parts: frozenset[Part]
    """Those that it has."""

    def subjects(self, by: By) -> Sequence[str]:
        """Values of that dimension; of the service one that is empty."""
        match by:
            case By.ROUTE:
                return self.routes
            case By.SINK:
                return tuple(self.sinks)
            case By.SOURCE:
                return self.sources
            case By.SERVICE:
                return ("",)

    def subjects_of(self, metric: str) -> Sequence[str]:
        """Values of the dimension of the metric of that name; none if this service does not send it."""
        named = BY_NAME[metric]
        return self.subjects(named.by) if named.part is None or named.part in self.parts else ()

    def dimensions(self, metric: str, subject: str) -> dict[str, str]:
        """Dimensions of the metric of that name for one route, sink or source, as they are published."""
        by = BY_NAME[metric].by
        return {**self.own, **({by.value: subject} if by is not By.SERVICE else {})}

    @property
    def period(self) -> int:
        """Seconds of the shortest period in which there is something of each replica: whole minutes."""
        return MINUTE * max(1, ceil(self.interval_seconds / MINUTE))


def watched(config: Config) -> Watched:
    """What is watched of a service with this configuration."""
    to = [each for route in config.routes.values() for each in route.to]
    produced = _with_fallbacks({each.sink for each in to}, config)
    required = _with_fallbacks({each.sink for each in to if each.required}, config)
    best_effort = _with_fallbacks({each.sink for each in to if not each.required}, config)
    return Watched(
        namespace=config.cloudwatch.namespace,
        own={"Service": config.cloudwatch.service, **config.cloudwatch.dimensions},
        interval_seconds=config.cloudwatch.interval_seconds,
        routes=tuple(config.routes),
        sinks={
            name: WatchedSink(
                slow_seconds=round(sink.slow_seconds, 1),
                produced=name in produced,
                drops=name in best_effort or name not in required,
                records=sink.type in _RECORDING,
            )
            for name, sink in config.sinks.items()
            if name in config.started
        },
        sources=tuple(name for name, source in config.sources.items() if _lags(source)),
        parts=_parts(config),
    )


def _parts(config: Config) -> frozenset[Part]:
    found = {
        Part.JOURNAL: any(route.ack == "stored" for route in config.routes.values()),
        Part.TLS: config.server.tls is not None or config.admin.tls is not None,
        Part.KEYS: config.server.auth is not None and _reads_again(config.server.auth),
    }
    return frozenset(part for part, there in found.items() if there)


def _reads_again(auth: Auth) -> bool:
    """Whether any of it is read again while the service runs: a variable is read once, at start."""
    places = (auth.keys_file, auth.keys_secret, auth.pepper_file)
    return bool(auth.jwt) or any(place is not None for place in places)


def _with_fallbacks(sinks: set[str], config: Config) -> set[str]:
    return sinks | {fallback for name in sinks if (fallback := config.sinks[name].fallback) is not None}


def _lags(source: SourceConfig) -> bool:
    asked: float = getattr(source, "lag_interval", 1.0)
    return source.type in _LAGGING and asked > 0
