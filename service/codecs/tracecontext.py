"""W3C Trace Context in headers, in messages and in events: what is sound of it, and what goes on with an event.

What is not sound is ignored, and is no error. An event's own `traceparent`, the distributed-tracing extension of
CloudEvents, says where it began; a header says how it came here. Sources: W3C Trace Context (Recommendation, 2021),
sections 3.2, 3.3 and 4.3; CloudEvents distributed-tracing extension; AWS X-Ray developer guide, tracing header.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from service.event import Event, Trace

PARENT: Final = "traceparent"
STATE: Final = "tracestate"
PARENT_CHARACTERS: Final = 55
XRAY: Final = "awstraceheader"
"""Name, among a message's headers, of the system attribute that AWS X-Ray has on a message of SQS."""
MOST_STATE: Final = 512
"""Characters of a tracestate that is passed on: the least that one must be able to (section 3.3.1.5)."""
_MOST_MEMBERS: Final = 32
"""Of a tracestate (section 3.3.1.1)."""

_VERSION: Final = "00"
"""Ours. A later one has at least the same four fields, of which one of this version is made (section 4.3)."""
_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})(-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(?:\Z|-)")
_KEY = r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
_MEMBER = re.compile(rf"{_KEY}=[ -+\--<>-~]{{0,255}}[!-+\--<>-~]")
_XRAY = re.compile(r"Root=1-([0-9a-f]{8})-([0-9a-f]{24})(?=;|\Z)")
_XRAY_PARENT = re.compile(r";Parent=([0-9a-f]{16})(?=;|\Z)")


def parse(parent: str | None, state: str | None) -> Trace | None:
    """The position that the two header values tell; None if there is none, or it is not sound.

    A `tracestate` that is not sound, or too long, is left out whole.
    """
    if parent is None:
        return None
    match = _PARENT.match(parent.strip(" \t"))
    if match is None or (match[1] == _VERSION and match.end() != match.end(2)):
        return None
    return Trace(_VERSION + match[2], _sound_state(state) if state and len(state) <= MOST_STATE else "")


def of_headers(headers: Mapping[str, str]) -> Trace | None:
    """The same of a request's headers, or of an event's attributes, which have the same names."""
    parent = headers.get(PARENT)
    return None if parent is None else parse(parent, headers.get(STATE))


def of_message(headers: Mapping[str, bytes]) -> Trace | None:
    """The same of the headers of a message, or of what AWS X-Ray says of one of SQS (`awstraceheader`)."""
    parent = headers.get(PARENT)
    if parent is not None:
        found = parse(parent.decode("latin-1"), headers.get(STATE, b"").decode("latin-1"))
        if found is not None:
            return found
    xray = headers.get(XRAY)
    return None if xray is None else _of_xray(xray.decode("latin-1"))


def of_event(event: Event) -> Trace | None:
    """What goes on beside an event, in the headers of whatever it is sent in.

    A span of ours; without one the event's own extension, for it came with the event from where that began; else what
    the request or the message said.
    """
    trace = event.origin.trace
    if PARENT in event.attributes and (trace is None or not trace.own):
        return of_headers(event.attributes) or trace
    return trace


def trace_headers(event: Event) -> dict[str, str]:
    """The same as headers: `traceparent`, and `tracestate` if there is one; empty if there is neither."""
    told: dict[str, str] = {}
    if (trace := of_event(event)) is not None:
        extend(told, trace)
    return told


def extend(attributes: dict[str, str], trace: Trace) -> None:
    """Have an event say `trace` that does not say itself where it began (so may middleware, the extension says)."""
    if PARENT not in attributes and STATE not in attributes:
        attributes[PARENT] = trace.parent
        if trace.state:
            attributes[STATE] = trace.state


@lru_cache(256)
def _sound_state(state: str) -> str:
    """`state` as it stands, without blanks around it; empty if it is not sound."""
    members = [member.strip(" \t") for member in state.split(",")]
    told = [member for member in members if member]
    if (
        len(told) > _MOST_MEMBERS
        or not all(map(_MEMBER.fullmatch, told))
        or len({member.partition("=")[0] for member in told}) < len(told)
    ):
        return ""
    return state.strip(" \t") if told else ""


def _of_xray(header: str) -> Trace | None:
    """The position in X-Ray's own form, `Root=1-…;Parent=…;Sampled=1`; None without a parent, or a trace of zeros."""
    root, parent = _XRAY.search(header), _XRAY_PARENT.search(header)
    if root is None or parent is None:
        return None
    return parse(f"{_VERSION}-{root[1]}{root[2]}-{parent[1]}-{'01' if ';Sampled=1' in header else '00'}", None)
