"""How a dead letter's event is posted again: its own bytes and media type, and an identity that is the same again.

A structured CloudEvent has its identity within. One that came in binary mode gets its attributes as headers again. An
event without an envelope gets its id as Idempotency-Key, so that on its own route everything about it is as it was; on
a route with another `source` it goes as a CloudEvent in binary mode, so that source and id, by which consumers drop
duplicates, are the same there too. Decision 019.
"""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from service.codecs.selector import Selector
from service.config.settings import RouteConfig
from service.dlq.letter import Letter
from service.event import STRUCTURED

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
"""What the HTTP source takes as Idempotency-Key."""
_SYNTHESIZED = {"specversion", "id", "source", "type"}
"""The attributes of an event that came without an envelope."""
_UNQUOTED = "".join(character for character in string.punctuation if character not in '"%')
"""Beside letters and digits, what stands in a header as it is (CloudEvents HTTP protocol binding, 3.1.3.2)."""
_ARRAY = re.compile(rb"[ \t\r\n]*\[")


class UnsendableError(Exception):
    """The event cannot be posted so that it is the same event again. The message says why."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One request of the HTTP source."""

    route: str
    headers: Mapping[str, str]
    body: bytes
    identity: str
    """The same for the same event on the same route."""
    order: str
    """Events of which this is the same are to stay in order."""


def posting(letter: Letter, to: str | None, routes: Mapping[str, RouteConfig]) -> Posting:
    """The request that sends the letter's event to route `to`, its own if None. Raises UnsendableError.

    `routes`: what is known of the routes' settings; the one that is sent to need not be among them.
    """
    route = to or letter.route
    settings = routes.get(route)
    headers = _form(letter, route, routes) | _beside(letter, settings)
    source = (letter.attributes or {}).get("source", "")
    return Posting(route, headers, letter.body, f"{route}\0{source}\0{letter.id}", letter.key or letter.id)


def _form(letter: Letter, route: str, routes: Mapping[str, RouteConfig]) -> dict[str, str]:
    """The headers that say what the body is, and which event."""
    if letter.content_type[: len(STRUCTURED)].lower() == STRUCTURED:
        return {"Content-Type": letter.content_type}
    attributes = letter.attributes
    if attributes is None:
        raise UnsendableError("its attributes were too large for the letter, so its identity is not known")
    if attributes and not _came_plain(letter, attributes, routes):
        return _binary(attributes)
    if _ARRAY.match(letter.body):
        raise UnsendableError("its body is a JSON array, which would be read as many events")
    same = not attributes or (attributes["source"] == _source(route, routes) and attributes["type"] == route)
    settings = routes.get(route)
    in_body = settings is not None and settings.id is not None and Selector(settings.id).in_body
    if _KEY.fullmatch(letter.id) and (same or in_body):
        return {"Content-Type": letter.content_type, "Idempotency-Key": _bare_or_quoted(letter.id)}
    if in_body or not attributes:
        return {"Content-Type": letter.content_type}
    return _binary({**attributes, "datacontenttype": letter.content_type})


def _came_plain(letter: Letter, attributes: Mapping[str, str], routes: Mapping[str, RouteConfig]) -> bool:
    """Whether the attributes are those that the route gives to an event without an envelope."""
    return (
        attributes.keys() == _SYNTHESIZED
        and attributes["type"] == letter.route
        and attributes["source"] == _source(letter.route, routes)
        and letter.content_type == "application/json"
    )


def _source(route: str, routes: Mapping[str, RouteConfig]) -> str:
    settings = routes.get(route)
    return (settings.source if settings is not None else None) or f"/routes/{route}"


def _binary(attributes: Mapping[str, str]) -> dict[str, str]:
    headers = {
        f"ce-{name}": quote(value, safe=_UNQUOTED) for name, value in attributes.items() if name != "datacontenttype"
    }
    media = attributes.get("datacontenttype")
    return headers | ({"Content-Type": media} if media else {})


def _bare_or_quoted(key: str) -> str:
    if len(key) >= 2 and key[0] == key[-1] == '"':
        escaped = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return key


def _beside(letter: Letter, settings: RouteConfig | None) -> dict[str, str]:
    """Headers in which the route looks for key and id, with those that the event had."""
    found = {}
    for what, selector, value in (
        ("key", settings.key if settings else None, letter.key),
        ("id", settings.id if settings else None, letter.id),
    ):
        kind, _, name = (selector or "").partition(":")
        if kind == "header" and value is not None:
            if what == "key" and letter.key_cut:
                raise UnsendableError(f"its key came in header {name}, and only its beginning is in the letter")
            if not (value.isascii() and value.isprintable() and value == value.strip()):
                raise UnsendableError(f"its {what} came in header {name}, and cannot be written there again")
            found[name] = value
    return found
