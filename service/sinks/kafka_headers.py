"""The headers of a Kafka message: the attributes of its CloudEvent (CloudEvents 1.0, Kafka protocol binding)."""

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
    return made
