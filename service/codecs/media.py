"""Media types: the essence and charset of a Content-Type (RFC 9110 §8.3)."""

import re
from functools import lru_cache

from msgspec import Struct

from service.errors import Code, Unreadable

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_TYPE = re.compile(rf"[ \t]*({_NAME}/{_NAME})[ \t]*")
_PARAMETER = re.compile(rf';[ \t]*(?:({_NAME})=({_NAME}|"(?:[^"\\]|\\.)*+")[ \t]*)?', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_UTF8 = frozenset({None, "utf-8", "utf8", "us-ascii", "ascii"})
_SHORT = 128


class MediaType(Struct, frozen=True):
    """A parsed Content-Type."""

    essence: str
    """Type and subtype in lower case, without parameters."""
    charset: str | None
    """In lower case; None if it is not given."""

    @property
    def is_json(self) -> bool:
        """Whether the content is JSON: the subtype is `json` or ends in `+json` (CloudEvents JSON format §3.1.1)."""
        return self.essence.endswith(("/json", "+json"))

    @property
    def is_utf8(self) -> bool:
        """Whether the charset is UTF-8 or a part of it, or is left open."""
        return self.charset in _UTF8


def parse(value: str) -> MediaType:
    """The media type in `value`. Raises Unreadable (MALFORMED_HEADER) if it is not one."""
    return _remembered(value) if len(value) <= _SHORT else _parse(value)


def is_json(content_type: str) -> bool:
    """Whether `content_type`, parameters and all, is JSON. Never raises."""
    if content_type == "application/json":
        return True
    return content_type.partition(";")[0].strip().lower().endswith(("/json", "+json"))


def _parse(value: str) -> MediaType:
    match = _TYPE.match(value)
    if match is None:
        raise _malformed("expected type/subtype, such as application/json")
    charset = None
    position = match.end()
    while position < len(value):
        parameter = _PARAMETER.match(value, position)
        if parameter is None:
            raise _malformed("its parameters cannot be read; expected '; name=value'")
        name, text = parameter.groups()
        if name is not None and name.lower() == "charset":
            if charset is not None:
                raise _malformed("charset is given twice")
            charset = (_ESCAPED.sub(r"\1", text[1:-1]) if text[0] == '"' else text).lower()
        position = parameter.end()
    return MediaType(match[1].lower(), charset)


_remembered = lru_cache(256)(_parse)


def _malformed(why: str) -> Unreadable:
    return Unreadable(Code.MALFORMED_HEADER, f"Content-Type: {why}")
