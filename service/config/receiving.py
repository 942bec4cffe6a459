"""What is to hold between sources, routes and sinks: what comes from a source is never refused to a producer, so what
cannot be delivered needs a place.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from service.config import ways
from service.config.checks import letter_holds, takes
from service.config.settings import RouteConfig, Tree
from service.delivery.route import RESERVED_ROUTE
from service.document import Document, Place
from service.receiving.contract import SourceConfig
from service.sinks.contract import Sink, SinkConfig
from service.units import format_size


def everything(
    document: Document,
    tree: Tree,
    sources: Mapping[str, SourceConfig],
    settings: Mapping[str, SinkConfig],
    sinks: Mapping[str, Sink],
) -> None:
    """Note every mistake."""
    for name, source in sources.items():
        place: Place = ("sources", name)
        if source.dead_letter is not None:
            ways.exists(document, (*place, "dead_letter"), source.dead_letter, tree.sinks)
            _holds(document, (*place, "dead_letter"), source, source.dead_letter, sinks)
            if source.dead_letter in settings and settings[source.dead_letter].fallback is not None:
                document.add(
                    ("sinks", source.dead_letter, "fallback"),
                    f"this sink takes the dead letters of source {name!r}, which go nowhere else",
                )
        for below, route in source.targets().items():
            _target(document, (*place, *below), route, tree, source, sinks)
        for sink in sorted(_given(source, tree.routes, settings)):
            if source.reads(settings[sink]):
                detail = f"it reads what sink {sink!r} writes, and brings it there again, for ever: keep them apart"
                document.add(place, detail)
        for below, mistake in source.mistakes(tree.server).items():
            document.add((*place, *below), mistake)


def _given(
    source: SourceConfig, routes: Mapping[str, RouteConfig], settings: Mapping[str, SinkConfig]
) -> Iterable[str]:
    """The sinks that get something of what a source brings, dead letters and what is diverted too."""
    brought = [routes[name] for name in reached(source, routes) if name in routes]
    named = {to.sink for route in brought for to in route.to}
    named |= {route.dead_letter.sink for route in brought if route.dead_letter is not None}
    named |= {source.dead_letter} if source.dead_letter is not None else set()
    named |= {other for name in named & settings.keys() if (other := settings[name].fallback) is not None}
    return named & settings.keys()


def keyed(tree: Tree, sources: Mapping[str, SourceConfig]) -> set[str]:
    """The routes to which sources bring messages that have keys."""
    return {route for source in sources.values() if source.keyed for route in reached(source, tree.routes)}


def reached(source: SourceConfig, routes: Mapping[str, RouteConfig]) -> set[str]:
    """The routes that a source brings events to, those that `events` finds by type among them."""
    named = set(source.targets().values())
    if RESERVED_ROUTE in named:
        named |= {name for name, route in routes.items() if route.types}
    return named


def _target(
    document: Document, place: Place, route: str, tree: Tree, source: SourceConfig, sinks: Mapping[str, Sink]
) -> None:
    if route != RESERVED_ROUTE:
        if route not in tree.routes:
            near = get_close_matches(route, tree.routes, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            document.add(place, f"there is no route {route!r}{hint}")
            return
        _route(document, place, route, tree, source, sinks)
        return
    if source.dead_letter is None:
        document.add(
            place, f"`{RESERVED_ROUTE}` routes by type: give the source a `dead_letter`, for types that no route takes"
        )
    for name, settings in tree.routes.items():
        if settings.types:
            _route(document, place, name, tree, source, sinks)


def _route(
    document: Document, place: Place, route: str, tree: Tree, source: SourceConfig, sinks: Mapping[str, Sink]
) -> None:
    letters = tree.routes[route].dead_letter
    if letters is None:
        document.add(
            place,
            f"nobody is told what becomes of its events: give route {route!r} a `dead_letter`, for what cannot be "
            "delivered",
        )
    else:
        _holds(document, place, source, letters.sink, sinks)


def _holds(document: Document, place: Place, source: SourceConfig, sink: str, sinks: Mapping[str, Sink]) -> None:
    """A message is among the dead letters whole, whatever is wrong with it."""
    if sink in sinks and (most := letter_holds(takes(sinks[sink]))) < source.max_message:
        document.add(
            place,
            f"the dead letters at sink {sink!r} hold messages of {format_size(most)} at most (4/3 and 16KiB more are "
            f"written), and max_message is {format_size(source.max_message)}: lower it, or have another sink for them",
        )
