"""Selectors: where a route finds its key or id: `/customer/id`, `ce:subject` or `header:x-tenant`."""

import re
from collections.abc import Mapping
from typing import Any

from service.codecs.draft import Draft
from service.codecs.pointer import Pointer, fragment
from service.errors import Code, InvalidEvent

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ATTRIBUTE = re.compile(r"[a-z0-9]+")
_EXACT_DIGITS = 15
"""Decimal numbers of up to 15 digits survive as doubles (IEEE 754); two longer ones may become one."""


class Selector:
    """Finds a string in a draft or its request's headers."""

    __slots__ = ("_kind", "_name", "_pointer", "text")

    def __init__(self, text: str) -> None:
        """Raises ValueError, saying what is allowed, if `text` is not a selector."""
        self.text = text
        self._kind, _, self._name = text.partition(":")
        self._pointer: Pointer | None = None
        if text.startswith("/"):
            self._pointer = Pointer(text)
        elif self._kind == "header" and _HEADER.fullmatch(self._name):
            self._name = self._name.lower()
        elif not (self._kind == "ce" and _ATTRIBUTE.fullmatch(self._name)):
            raise ValueError(
                f"{text!r} is not a selector: write a JSON Pointer into the data (/customer/id), "
                "a CloudEvents attribute (ce:subject) or a header (header:x-tenant)"
            )

    @property
    def in_body(self) -> bool:
        """Whether what it finds stands in the event's own bytes, for an event without an envelope."""
        return self._pointer is not None

    @property
    def of_header(self) -> bool:
        """Whether it looks into the headers."""
        return self._kind == "header"

    def __call__(self, draft: Draft, headers: Mapping[str, str]) -> str | None:
        """The string, or None if it is missing, null or empty. Numbers and booleans become their JSON text.

        Raises InvalidEvent (INVALID_KEY) if an object or array stands there, or a number that a double cannot
        tell from its neighbours: two events must not get one identity.
        """
        if self._pointer is None:
            if self._kind == "ce":
                return draft.attributes.get(self._name) or None
            return _meant(headers.get(self._name, "")) or None
        value = self._pointer.resolve(draft.data)
        match value:
            case str():
                return value or None
            case bool():
                return "true" if value else "false"
            case int():
                return str(value)
            case float():
                return self._exact(value)
            case dict() | list():
                raise self._refusal("type", "must be a string, a number or a boolean")
            case _:
                return None

    def _exact(self, value: float) -> str:
        text = repr(value)
        digits = sum(map(str.isdigit, text.partition("e")[0].strip("-0.")))
        if digits > _EXACT_DIGITS or abs(value) >= 10.0**_EXACT_DIGITS:
            raise self._refusal("type", f"written out it has more than {_EXACT_DIGITS} digits; send it as a string")
        return text

    def _refusal(self, keyword: str, why: str) -> InvalidEvent:
        assert self._pointer is not None
        place = fragment(self._pointer.names)
        detail = f"{why}, for it is the event's key or id"
        errors: list[dict[str, Any]] = [{"pointer": place, "keyword": keyword, "detail": detail}]
        return InvalidEvent(Code.INVALID_KEY, f"{place}: {detail}", errors=errors)


def _meant(value: str) -> str:
    """A header's value, of which HTTP hands the octets over as Latin-1: they are UTF-8 if they can be."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
