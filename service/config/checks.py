"""What no single setting shows: references, cycles, the chain of time-outs, sizes, and who may reach the ports."""

import re
from collections.abc import Collection, Iterator, Mapping

from pydantic import BaseModel

from service.aws.settings import AwsConfig
from service.config import access, ways
from service.config.cloudwatch import FLUSH_SECONDS
from service.config.settings import (
    LAST_ANSWERS_SECONDS,
    LEAST_JOURNAL,
    LEAST_MEMORY,
    RouteConfig,
    ServerConfig,
    Tree,
)
from service.delivery.deadletter import ENVELOPE_BYTES, largest_envelope
from service.delivery.route import RESERVED_ROUTE
from service.document import Document, Place
from service.errors import ConfigError
from service.sinks.contract import LEAST_LANE_MEMORY, Sink, SinkConfig
from service.sinks.stdout import Stdout
from service.telemetry.tracing import CLOSE_SECONDS
from service.units import format_duration, format_size

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check_name(document: Document, place: Place, text: str) -> None:
    """Names of sinks and routes: they are labels of metrics and parts of variables and paths."""
    if not _NAME.fullmatch(text):
        document.add(place, "a name is lower-case letters, digits and underscores, and begins with a letter")


def shared_memory(document: Document, tree: Tree, sinks: Mapping[str, SinkConfig]) -> dict[str, SinkConfig]:
    """The sinks with a lane memory each: its own where it says so, else a fair share of the lanes' third."""
    _divisible(document, tree.server, sinks)
    budget = tree.server.lane_memory
    silent = [sink for sink in sinks.values() if "memory" not in sink.model_fields_set]
    said = sum(sink.memory for sink in sinks.values() if "memory" in sink.model_fields_set)
    share = (budget - said) // len(silent) if silent else 0
    if said > budget or (silent and share // tree.server.workers < LEAST_LANE_MEMORY):
        document.add(
            ("server", "memory"),
            f"its third for the lanes, {format_size(budget)}, is less than the sinks ask for "
            f"({format_size(said)}, and at least {format_size(LEAST_LANE_MEMORY * tree.server.workers)} for each of "
            f"{len(silent)} others); raise it, or lower theirs",
        )
        return dict(sinks)
    return {
        name: sink if "memory" in sink.model_fields_set else sink.model_copy(update={"memory": min(sink.memory, share)})
        for name, sink in sinks.items()
    }


def _divisible(document: Document, server: ServerConfig, sinks: Mapping[str, SinkConfig]) -> None:
    """Each worker's part of the memory is at least what a service of one process needs."""
    workers = server.workers
    if server.memory // workers < LEAST_MEMORY:
        document.add(
            ("server", "workers"),
            f"{workers} workers need {format_size(LEAST_MEMORY)} each, and memory is {format_size(server.memory)}: "
            f"raise it to {format_size(LEAST_MEMORY * workers)}, or have fewer",
        )
    for name, sink in sinks.items():
        if "memory" in sink.model_fields_set and sink.memory // workers < LEAST_LANE_MEMORY:
            document.add(
                ("sinks", name, "memory"),
                f"{workers} workers need {format_size(LEAST_LANE_MEMORY)} each: at least "
                f"{format_size(LEAST_LANE_MEMORY * workers)}",
            )


def _divisible_journal(document: Document, tree: Tree) -> None:
    workers, most = tree.server.workers, tree.journal.max_bytes
    if most // workers < LEAST_JOURNAL and any(route.ack == "stored" for route in tree.routes.values()):
        document.add(
            ("journal", "max_bytes"),
            f"{workers} workers need {format_size(LEAST_JOURNAL)} each: at least "
            f"{format_size(LEAST_JOURNAL * workers)}",
        )


def everything(
    document: Document,
    tree: Tree,
    broken: Collection[str],
    settings: Mapping[str, SinkConfig],
    sinks: Mapping[str, Sink],
    keyed: Collection[str] = (),
) -> dict[str, int]:
    """Note every mistake between settings. Returns the most bytes of one event, by route.

    `keyed`: routes to which sources bring messages with keys. `broken`: sections with mistakes of their own, of which
    `tree` has only what is sound: what is missing there is not held against the others.
    """
    if not {"server", "journal"} & set(broken):
        _divisible_journal(document, tree)
    if not {"server", "admin"} & set(broken):
        access.check_ports(document, tree)
        access.check_credentials(document, tree)
    if "server" not in broken:
        _time_outs(document, tree.server, settings)
        _grace(document, tree)
    _type_owners(document, tree.routes)
    ways.cycles(document, tree.routes, settings)
    ways.fallbacks(document, tree, settings)
    _exclusive(document, settings)
    if "aws" not in broken:
        regions(document, "sinks", settings)
    if not {"aws", "cloudwatch"} & set(broken):
        _cloudwatch(document, tree, settings)
    if not tree.routes and "routes" not in broken:
        document.add(("routes",), "there must be at least one route")
    largest: dict[str, int] = {}
    for route_name, route in tree.routes.items():
        place: Place = ("routes", route_name)
        check_name(document, place, route_name)
        if route_name == RESERVED_ROUTE:
            document.add(place, f"`{RESERVED_ROUTE}` is reserved: POST /v1/{RESERVED_ROUTE} routes CloudEvents by type")
        if route.ack == "stored" and route.dead_letter is None:
            document.add(
                (*place, "dead_letter"), "nobody waits for stored events: say where those go that cannot be delivered"
            )
        for index, to in enumerate(route.to):
            without = route.key is None and route_name not in keyed
            if without and to.sink in settings and settings[to.sink].order == "key":
                document.add((*place, "to", index), f"sink {to.sink!r} keeps the order of keys; give the route a `key`")
        if ways.references(document, place, route, tree.sinks):
            largest[route_name] = _largest_event(document, place, route, tree.server, sinks)
    return largest


def warnings(tree: Tree, used: Collection[str]) -> Iterator[str]:
    """What is allowed, but hardly meant. `used`: the sinks that are started."""
    server = tree.server
    if server.body_timeout > server.drain_timeout + LAST_ANSWERS_SECONDS:
        yield (
            f"server.body_timeout: {format_duration(server.body_timeout)} is longer than drain_timeout "
            f"({format_duration(server.drain_timeout)}) and {format_duration(LAST_ANSWERS_SECONDS)} more; "
            "at shutdown a body that takes so long is answered 503 before it has arrived"
        )
    if tree.quotas.principals and (server.auth is None or server.auth.anonymous):
        yield "quotas.principals: without server.auth nobody has a name; only quotas.routes hold"
    for sink in tree.sinks:
        if sink not in used:
            yield f"sinks.{sink}: no route uses it; it is not started"


def _time_outs(document: Document, server: ServerConfig, sinks: Mapping[str, SinkConfig]) -> None:
    """The chain of design section 5: each link ends before the next one gives up."""
    for sink_name, sink in sinks.items():
        if sink.call_timeout * 2 > sink.patience:
            document.add(
                ("sinks", sink_name, "patience"),
                f"{format_duration(sink.patience)} leaves no room for a second call: at least twice call_timeout "
                f"({format_duration(sink.call_timeout)})",
            )
        if sink.linger + sink.call_timeout > sink.patience:
            document.add(("sinks", sink_name, "linger"), "linger and call_timeout together exceed patience")
        if sink.patience + 1 > server.request_timeout:
            document.add(
                ("sinks", sink_name, "patience"),
                f"{format_duration(sink.patience)} must end a second before server.request_timeout "
                f"({format_duration(server.request_timeout)})",
            )
    chain = (
        ("request_timeout", server.request_timeout, "load_balancer_idle", server.load_balancer_idle),
        ("body_timeout", server.body_timeout, "load_balancer_idle", server.load_balancer_idle),
        ("load_balancer_idle", server.load_balancer_idle, "keep_alive", server.keep_alive),
    )
    for shorter, first, longer, second in chain:
        if first >= second:
            document.add(
                ("server", shorter), f"{format_duration(first)} must be less than {longer} ({format_duration(second)})"
            )


def _grace(document: Document, tree: Tree) -> None:
    server, last = tree.server, [(LAST_ANSWERS_SECONDS, "answers")]
    if tree.cloudwatch.mode != "off":
        last.append((FLUSH_SECONDS, "metrics"))
    if tree.tracing.on:
        last.append((CLOSE_SECONDS, "spans"))
    if server.deregister_delay + server.drain_timeout + sum(seconds for seconds, _ in last) > server.grace:
        each = " and ".join(f"{format_duration(seconds)} for the last {what}" for seconds, what in last)
        document.add(
            ("server", "drain_timeout"),
            f"deregister_delay ({format_duration(server.deregister_delay)}) and drain_timeout "
            f"({format_duration(server.drain_timeout)}), with {each}, must together be at most grace "
            f"({format_duration(server.grace)})",
        )


def _type_owners(document: Document, routes: Mapping[str, RouteConfig]) -> None:
    owners: dict[str, str] = {}
    for route_name, route in routes.items():
        for index, pattern in enumerate(route.types):
            owner = owners.setdefault(pattern, route_name)
            if owner != route_name:
                document.add(("routes", route_name, "types", index), f"{pattern!r} already belongs to route {owner!r}")


def _exclusive(document: Document, sinks: Mapping[str, SinkConfig]) -> None:
    owners: dict[tuple[str, str, str], str] = {}
    for sink_name, sink in sinks.items():
        if (owned := sink.exclusive()) is None:
            continue
        owner = owners.setdefault((sink.type, *owned), sink_name)
        if owner != sink_name:
            document.add(
                ("sinks", sink_name, owned[0]), f"{owned[1]} already belongs to sink {owner!r}; give each its own"
            )


def regions(document: Document, kind: str, settings: Mapping[str, BaseModel]) -> None:
    """Each of these, `sinks` or `sources`, that is of AWS has a region, as its client will find it: in the settings, or
    where the SDK looks.
    """
    for name, each in settings.items():
        if isinstance(each, AwsConfig):
            _region(document, (kind, name), each)


def _region(document: Document, place: Place, settings: AwsConfig) -> None:
    from service.aws.session import region_of  # the SDK, which a configuration without AWS need not load

    try:
        region_of(settings)
    except ConfigError as error:
        for mistake in error.mistakes:
            document.add(place, mistake)


def _cloudwatch(document: Document, tree: Tree, sinks: Mapping[str, SinkConfig]) -> None:
    """Its calls have a region; its lines stand alone on standard output, where events with `_aws` would be metrics."""
    if tree.cloudwatch.mode == "api":
        _region(document, ("cloudwatch",), tree.cloudwatch.within(tree.aws))
    if tree.cloudwatch.mode == "emf":
        for sink_name, sink in sinks.items():
            if isinstance(sink, Stdout.Config) and sink.descriptor == 1:
                document.add(
                    ("cloudwatch", "mode"),
                    f"sink {sink_name!r} writes events to standard output too, where CloudWatch would look for metrics "
                    "in them: give it another `descriptor`, or use `mode: api`",
                )


def _largest_event(
    document: Document, place: Place, route: RouteConfig, server: ServerConfig, sinks: Mapping[str, Sink]
) -> int:
    """The most bytes of one event that every required sink and the dead letters take."""
    bounds = {"server.max_decompressed": server.max_decompressed}
    for to in route.to:
        if to.required and to.sink in sinks:
            bounds[f"sink {to.sink!r}"] = takes(sinks[to.sink])
    if route.dead_letter is not None and route.dead_letter.sink in sinks:
        sink = route.dead_letter.sink
        bounds[f"the dead letters at sink {sink!r} (4/3 of the event and 16KiB)"] = letter_holds(takes(sinks[sink]))
    by, most = min(bounds.items(), key=lambda bound: bound[1])
    if most < 1:
        document.add(place, f"no event fits: {by} takes none")
    elif route.max_event is not None and route.max_event > most:
        document.add(
            (*place, "max_event"), f"{format_size(route.max_event)} is more than {by} takes, {format_size(most)}"
        )
    return min(most, route.max_event or most)


def takes(sink: Sink) -> int:
    """Bytes of the largest event, with its key, that the sink takes."""
    return min(sink.limits.event_bytes, sink.limits.batch_bytes) - sink.limits.overhead_bytes


def letter_holds(room: int) -> int:
    """The largest event whose envelope takes at most `room` bytes."""
    size = (room - ENVELOPE_BYTES) // 4 * 3
    return size if size > 0 and largest_envelope(size) <= room else 0
