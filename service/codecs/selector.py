"""Selectors: where a route finds its key or id: `/customer/id`, `ce:subject` or `header:x-tenant`."""

import re
from collections.abc import Mapping

from service.codecs.draft import Draft
from service.codecs.pointer import Pointer
from service.errors import Code, InvalidEvent

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_ATTRIBUTE = re.compile(r"[a-z0-9]+\Z")


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
        elif self._kind == "header" and _HEADER.match(self._name):
            self._name = self._name.lower()
        elif not (self._kind == "ce" and _ATTRIBUTE.match(self._name)):
            raise ValueError(
                f"{text!r} is not a selector: write a JSON Pointer into the data (/customer/id), "
                "a CloudEvents attribute (ce:subject) or a header (header:x-tenant)"
            )

    def __call__(self, draft: Draft, headers: Mapping[str, str]) -> str | None:
        """The string, or None if it is missing, null or empty. Numbers and booleans become their JSON text.

        Raises InvalidEvent (INVALID_KEY) if an object or array stands there.
        """
        if self._pointer is None:
            found = draft.attributes if self._kind == "ce" else headers
            return found.get(self._name) or None
        value = self._pointer.resolve(draft.data)
        match value:
            case str():
                return value or None
            case bool():
                return "true" if value else "false"
            case int() | float():
                return str(value)
            case dict() | list():
                raise InvalidEvent(
                    Code.INVALID_KEY,
                    f"#{self.text}: must be a string, number or boolean, for it is the event's key or id",
                    errors=[
                        {"pointer": f"#{self.text}", "keyword": "type", "detail": "must be a scalar"},
                    ],
                )
            case _:
                return None
