"""The headers of a Kafka message: the attributes of its CloudEvent (CloudEvents 1.0, Kafka protocol binding), and its
position in a distributed trace, as W3C Trace Context names it.
"""

from collections.abc import Iterable

from service.codecs.tracecontext import PARENT, trace_headers
from service.event import STRUCTURED, Event


class _Names(dict[str, str]):
    """The header of an attribute; those of the specification are not made anew for each event."""

    def __missing__(self, name: str) -> str:
        return f"ce_{name}"


_NAMES = _Names({name: f"ce_{name}" for name in ("specversion", "id", "source", "type", "time", "subject")})


def headers(event: Event) -> list[tuple[str, str | bytes | None]]:
    """The Kafka headers of an event.

    Binary mode: `content-type` is the media type of the value, every other attribute is `ce_<name>` (Kafka
    protocol binding 3.2). A structured event keeps its own media type, which is how a receiver tells the two
    modes apart, and carries the same `ce_` headers (3.3.3 allows them), so that consumers can filter on headers
    whichever way the event came.

    `traceparent` and `tracestate` say how the event came here; a binary event that does not say where it began gets
    the same as its extension.
    """
    attributes = event.attributes
    content_type = event.content_type
    if content_type != STRUCTURED and content_type[:23].lower() != "application/cloudevents":
        content_type = attributes.get("datacontenttype", content_type if event.body else "")
    made: list[tuple[str, str | bytes | None]] = [("content-type", content_type)] if content_type else []
    names = _NAMES
    for name, value in attributes.items():
        if name != "datacontenttype":
            made.append((names[name], value))
    if event.origin.trace is not None or PARENT in attributes:
        made += _traced(event)
    return made


def _traced(event: Event) -> Iterable[tuple[str, str | bytes | None]]:
    """The headers that say how an event came here, and where it began if nothing else does."""
    told = trace_headers(event)
    yield from told.items()
    if not event.content_type.startswith(STRUCTURED) and not told.keys() & event.attributes.keys():
        for name, value in told.items():
            yield _NAMES[name], value
