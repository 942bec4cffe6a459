"""Where events may go from a sink: that sinks exist, fallbacks that can help, dead letters that do not come back."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from service.config.settings import RouteConfig, Tree
from service.document import Document, Place
from service.receiving.contract import SourceConfig
from service.sinks.contract import SinkConfig
from service.units import format_duration


def started(
    routes: Mapping[str, RouteConfig], sinks: Mapping[str, SinkConfig], sources: Mapping[str, SourceConfig]
) -> frozenset[str]:
    """The sinks that the service starts: those that routes name, for dead letters too, and sources; their fallbacks."""
    named = {to.sink for route in routes.values() for to in route.to} | _buried(routes).keys()
    named |= {source.dead_letter for source in sources.values() if source.dead_letter is not None}
    return frozenset(named | {other for name in named & sinks.keys() if (other := sinks[name].fallback) is not None})


def _buried(routes: Mapping[str, RouteConfig]) -> dict[str, str]:
    """By sink that takes dead letters: a route whose they are."""
    return {route.dead_letter.sink: name for name, route in routes.items() if route.dead_letter is not None}


def references(document: Document, place: Place, route: RouteConfig, sinks: Iterable[str]) -> bool:
    """Whether every sink that the route names exists and may stand where it does."""
    before = len(document.mistakes)
    seen: set[str] = set()
    for index, to in enumerate(route.to):
        here = (*place, "to", index)
        exists(document, here, to.sink, sinks)
        if to.sink in seen:
            document.add(here, f"sink {to.sink!r} stands here twice")
        seen.add(to.sink)
    if not any(to.required for to in route.to):
        document.add((*place, "to"), "at least one sink must be required: it decides the answer")
    if route.dead_letter is not None:
        exists(document, (*place, "dead_letter"), route.dead_letter.sink, sinks)
    elif any(not to.required for to in route.to):
        document.add(place, "a route with best-effort sinks needs a `dead_letter`, for what they cannot take")
    return len(document.mistakes) == before


def exists(document: Document, place: Place, sink: str, sinks: Iterable[str]) -> None:
    """Note it if there is no such sink."""
    if sink not in sinks:
        near = get_close_matches(sink, sinks, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        document.add(place, f"there is no sink {sink!r}{hint}")


def fallbacks(document: Document, tree: Tree, sinks: Mapping[str, SinkConfig]) -> None:
    """A fallback exists, is another sink, and has none of its own: an event is diverted once.

    Dead letters stay in one place, where they are looked for; and in a drain their lanes are the last to take anything.
    """
    letters = _buried(tree.routes)
    for sink_name, sink in sinks.items():
        if sink.fallback is None:
            continue
        place: Place = ("sinks", sink_name, "fallback")
        exists(document, place, sink.fallback, tree.sinks)
        if sink.fallback == sink_name:
            document.add(place, "a sink cannot be its own fallback")
        elif sink.fallback in sinks and sinks[sink.fallback].fallback is not None:
            document.add(place, f"sink {sink.fallback!r} has a fallback itself; an event is diverted only once")
        elif sink.fallback in sinks and (needed := sinks[sink.fallback].call_timeout) >= sink.patience:
            document.add(
                place, f"a call of {sink.fallback!r} may take {format_duration(needed)}; patience must be longer"
            )
        for route_name, route in tree.routes.items():
            if {sink_name, sink.fallback} <= {to.sink for to in route.to}:
                document.add(
                    place, f"route {route_name!r} goes to {sink.fallback!r} anyway: what is diverted would arrive twice"
                )
        if sink_name in letters:
            document.add(
                place, f"this sink takes the dead letters of route {letters[sink_name]!r}, which go nowhere else"
            )


def cycles(document: Document, routes: Mapping[str, RouteConfig], sinks: Mapping[str, SinkConfig]) -> None:
    """Refuse a lane that would, over however many routes, wait for its own dead letters to find room in itself.

    A fallback's dead letters are those of the route that an event came by.
    """
    ways: dict[str, set[str]] = {}
    for name, route in routes.items():
        named = {to.sink for to in route.to}
        ways[name] = named | {other for sink in named & sinks.keys() if (other := sinks[sink].fallback) is not None}
    edges: dict[str, set[str]] = {}
    for name, route in routes.items():
        if route.dead_letter is not None:
            for sink in ways[name]:
                edges.setdefault(sink, set()).add(route.dead_letter.sink)
    for route_name, route in routes.items():
        if route.dead_letter is None:
            continue
        reached, waiting = set[str](), [route.dead_letter.sink]
        while waiting:
            sink = waiting.pop()
            if sink not in reached:
                reached.add(sink)
                waiting += edges.get(sink, ())
        back = sorted(reached & ways[route_name])
        if back:
            document.add(
                ("routes", route_name, "dead_letter"),
                f"its dead letters would come back to sink {back[0]!r}; use a sink of their own",
            )
