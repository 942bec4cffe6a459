"""A message that a source has received, and what goes to the dead letters where it is, or holds, no event."""

import logging
from typing import Final

from msgspec import Struct

from service.codecs.draft import Draft, Refusal
from service.delivery.route import Route
from service.envelopes.contract import Message
from service.errors import Code, IngestError, InvalidEvent, TooLarge
from service.event import Event, Origin
from service.outcome import Reason

log = logging.getLogger(__name__)

_UNKNOWN: Final = "application/octet-stream"


class Received(Struct, frozen=True, gc=False):
    """A message that a source has received."""

    message: Message
    place: str
    """Where it stood, which is also the identity of an event that has no other: `orders/3/1077`, a message id."""
    size: int
    """Bytes that it takes of memory."""
    refusal: IngestError | None = None
    """Why its source gives it up, whatever it holds."""
    reason: Reason = Reason.INVALID
    """The same on its dead letter."""


def refused(received: Received, origin: Origin, route: Route | None, found: Draft | Refusal, named: str) -> Event:
    """What is written of an item that is no event of `route`: all its bytes, and the headers it came with."""
    attributes = found.attributes if type(found) is Draft else {}
    given = found.id if type(found) is Refusal else attributes.get("id")
    return Event(
        id=given or named,
        route=route.name if route is not None else "",
        key=received.message.key,
        body=found.body,
        content_type=found.content_type,
        attributes=attributes or _headers(received.message),
        origin=origin,
    )


def whole(received: Received, origin: Origin, route: Route | None) -> Event:
    """The same of a whole message."""
    message = received.message
    content_type = message.headers.get("content-type", b"").decode(errors="replace")
    return Event(
        id=received.place,
        route=route.name if route is not None else "",
        key=message.key,
        body=message.value,
        content_type=content_type or _UNKNOWN,
        attributes=_headers(message),
        origin=origin,
    )


def _headers(message: Message) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in message.headers.items()}


def flawed(error: Exception, flow: str) -> IngestError:
    """Why an item is refused whose reading raised `error`. A defect, ours or a foreign schema's, is one of the item: it
    is as safe among the dead letters as any other, and stops nothing that comes after it.
    """
    if isinstance(error, IngestError):
        return error
    log.error("an event could not be read", extra={"flow": flow}, exc_info=error)
    return InvalidEvent(Code.MALFORMED_EVENT, f"it could not be read: {type(error).__name__}", errors=())


def too_large(found: Draft, route: Route) -> TooLarge:
    """Why an event that is larger than its route takes is refused."""
    return TooLarge(
        Code.EVENT_TOO_LARGE,
        f"the event has {len(found.body)} bytes; route {route.name!r} takes at most {route.max_event}",
        limit=route.max_event,
        actual=len(found.body),
    )
