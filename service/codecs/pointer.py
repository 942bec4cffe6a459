"""JSON Pointer (RFC 6901)."""

import re
from typing import Any, Final
from urllib.parse import quote

_INDEX = re.compile(r"(?:0|[1-9]\d*)\Z")


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
        self._tokens = [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]

    def resolve(self, value: Any) -> Any:
        """The value at this place in decoded JSON, or MISSING."""
        for token in self._tokens:
            if isinstance(value, dict):
                value = value.get(token, MISSING)
            elif isinstance(value, list) and _INDEX.match(token) and int(token) < len(value):
                value = value[int(token)]
            else:
                return MISSING
        return value


def fragment(path: list[str | int]) -> str:
    """A path as a URI fragment pointer (RFC 6901 §6): `#/customer/id`, `#` for the whole."""
    return "#" + "".join("/" + quote(str(p).replace("~", "~0").replace("/", "~1"), safe="~") for p in path)
