"""JSON Pointer (RFC 6901)."""

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")
_MOST_FRAGMENT = 512


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""What a pointer gives for a place that does not exist; None is a JSON null that does."""


class Pointer:
    """A parsed pointer."""

    __slots__ = ("_tokens", "text")

    def __init__(self, text: str) -> None:
        """Raises ValueError, saying why, if `text` is not a pointer."""
        if text and not text.startswith("/"):
            raise ValueError(f"{text!r} is not a JSON Pointer: it must be empty or start with '/'")
        if re.search(r"~(?![01])", text):
            raise ValueError(f"{text!r} is not a JSON Pointer: '~' must be written as '~0' (and '/' as '~1')")
        self.text = text
        self._tokens = [_unescaped(token) for token in text.split("/")[1:]]

    @property
    def names(self) -> list[str]:
        """The names on the way, without escapes."""
        return [token for token, _ in self._tokens]

    def resolve(self, value: Any) -> Any:
        """The value at this place in decoded JSON, or MISSING."""
        for token, index in self._tokens:
            if isinstance(value, dict):
                value = value.get(token, MISSING)
            elif isinstance(value, list) and index is not None and index < len(value):
                value = value[index]
            else:
                return MISSING
        return value


def _unescaped(token: str) -> tuple[str, int | None]:
    """The token as a member's name, and as an array index if it can be one (RFC 6901 §4: no leading zeros)."""
    return token.replace("~1", "/").replace("~0", "~"), int(token) if _INDEX.fullmatch(token) else None


def fragment(path: Iterable[str | int]) -> str:
    """A path as a URI fragment pointer (RFC 6901 §6): `#/customer/id`, `#` for the whole.

    One that would be longer than 512 characters ends early, in `/...`: names come from the data.
    """
    pointer = "#"
    for part in path:
        text = str(part)
        if len(text) <= _MOST_FRAGMENT:
            text = quote(text.replace("~", "~0").replace("/", "~1"), safe="~")
        if len(pointer) + len(text) + len("/...") > _MOST_FRAGMENT:
            return pointer + "/..."
        pointer += "/" + text
    return pointer
