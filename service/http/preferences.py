"""What a producer asks for in headers: `Prefer` (RFC 7240), `Idempotency-Key` and `X-Request-Id`."""

import re
from collections.abc import Mapping

from msgspec import Struct

from service.errors import Code, Unreadable

_PREFERENCE = re.compile(r'\s*(handling|return)\s*=\s*"?([a-z]+)"?\s*(?:;.*)?\Z', re.IGNORECASE)
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?\Z")

_PLAIN_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}\Z")


class Preferences(Struct, frozen=True):
    """`strict`: one invalid event refuses the whole request. `minimal`: only events that are not safe are listed."""

    strict: bool = False
    minimal: bool = False


_NONE = Preferences()


def preferences(headers: Mapping[str, str]) -> Preferences:
    """The preferences in `Prefer`; unknown ones are ignored (RFC 7240 section 2), of two the first counts."""
    value = headers.get("prefer")
    if value is None:
        return _NONE
    found: dict[str, str] = {}
    for part in value.split(","):
        if match := _PREFERENCE.match(part):
            found.setdefault(match[1].lower(), match[2].lower())
    return Preferences(strict=found.get("handling") == "strict", minimal=found.get("return") == "minimal")


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The key in `Idempotency-Key`, quoted or bare. Raises Unreadable (MALFORMED_HEADER) if it cannot be one."""
    value = headers.get("idempotency-key")
    if value is None:
        return None
    text = value.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not _KEY.match(text):
        raise Unreadable(
            Code.MALFORMED_HEADER, "Idempotency-Key: must have 1 to 255 printable ASCII characters, quoted or bare"
        )
    return text


def plain_id(text: str | None) -> str | None:
    """A producer's own X-Request-Id; None if there is none, or it is not a plain one."""
    return text if text is not None and _PLAIN_ID.match(text) else None
