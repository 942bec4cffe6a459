"""Media types: the essence and charset of a Content-Type (RFC 9110 §8.3)."""

import re

from msgspec import Struct

from service.errors import Code, Unreadable

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"\s*({_NAME}/{_NAME})\s*((?:;.*)?)$", re.DOTALL)
_PARAMETER = re.compile(rf';\s*({_NAME})\s*=\s*({_NAME}|"(?:[^"\\]|\\.)*")\s*|;\s*')


class MediaType(Struct, frozen=True):
    """A parsed Content-Type."""

    essence: str
    """Type and subtype in lower case, without parameters."""
    charset: str | None
    """In lower case; None if it is not given."""

    @property
    def is_json(self) -> bool:
        """Whether the content is JSON: `application/json`, `text/json`, or the suffix `+json`."""
        return self.essence in ("application/json", "text/json") or self.essence.endswith("+json")


def parse(value: str) -> MediaType:
    """The media type in `value`. Raises Unreadable (MALFORMED_HEADER) if it is not one."""
    match = _TYPE.match(value)
    if match is None:
        raise Unreadable(Code.MALFORMED_HEADER, "Content-Type: expected type/subtype, such as application/json")
    charset, rest = None, match[2]
    position = 0
    while position < len(rest):
        parameter = _PARAMETER.match(rest, position)
        if parameter is None or parameter.end() == position:
            raise Unreadable(Code.MALFORMED_HEADER, "Content-Type: its parameters cannot be read")
        if parameter[1] is not None and parameter[1].lower() == "charset":
            charset = parameter[2].strip('"').lower()
        position = parameter.end()
    return MediaType(match[1].lower(), charset)


def is_json(content_type: str) -> bool:
    """Whether `content_type`, parameters and all, is JSON. Never raises."""
    essence = content_type.partition(";")[0].strip().lower()
    return MediaType(essence, None).is_json
