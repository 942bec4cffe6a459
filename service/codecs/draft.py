"""A draft: what a decoder found in a body, before routing, schema and identity made an event of it."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from service.codecs.json import MOST_NESTING
from service.errors import InvalidEvent, TooLarge


class _NotJson:
    def __repr__(self) -> str:
        return "NOT_JSON"


NOT_JSON: Final = _NotJson()
"""Stands for the data of an event whose data is not JSON (CloudEvents binary mode, `data_base64`)."""


class Draft(Struct, gc=False):
    """One event as it came."""

    body: bytes
    """Its own bytes, unchanged (a slice of a batch is copied out)."""
    content_type: str
    """Media type of `body`, as it was given in binary mode; STRUCTURED for structured CloudEvents."""
    attributes: Mapping[str, str]
    """CloudEvents context attributes; empty for an event without an envelope."""
    data: Any
    """The decoded JSON of the event's data; None if it has none; NOT_JSON if it is not JSON."""
    key: str | None = None
    """What its envelope, or the message that brought it, orders by: for a route without a `key`."""


class Refusal(Struct, gc=False):
    """An item of a body that is no event: its bytes and why."""

    body: bytes
    content_type: str
    error: InvalidEvent | TooLarge
    id: str | None = None
    """Its id, where one could be read."""

    def __post_init__(self) -> None:
        # what was raised holds on to the frames, and so to the bodies, that it came through; and to this very item, of
        # which the collector does not know
        self.error.__context__ = self.error.__traceback__ = None


class Caps(Struct, frozen=True):
    """Limits of what a decoder takes. Raises ValueError for a nesting above MOST_NESTING."""

    event_bytes: int
    events: int
    nesting: int

    def __post_init__(self) -> None:
        if self.nesting > MOST_NESTING:
            raise ValueError(f"nesting may be at most {MOST_NESTING}, not {self.nesting}")


Decoded = Draft | Refusal
