"""What the headers of a request of Firehose say."""

import re
from collections.abc import Mapping
from typing import Final, Self

import msgspec
from msgspec import Struct

from service.codecs.media import parse
from service.errors import Code, Unreadable, Unsupported

VERSION: Final = "1.0"
MOST_ATTRIBUTES: Final = 50
MOST_NAME: Final = 256
MOST_VALUE: Final = 1024
"""Characters. These three are Firehose's own bounds of common attributes."""
REQUEST_ID: Final = re.compile(r"[!-~]{1,128}")
_ATTRIBUTES: Final = "x-amz-firehose-common-attributes"
_ARN: Final = "x-amz-firehose-source-arn"


class _Common(Struct, rename="camel"):
    common_attributes: dict[str, str]


class Head(Struct, frozen=True):
    """One request's, before its body."""

    request_id: str
    """The same whenever Firehose sends the request again."""
    headers: Mapping[str, bytes]
    """Of each of its messages: the stream's common attributes by lower-cased name, and its ARN."""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self:
        """What `headers` (lower-cased names, values as Latin-1) say.

        Raises Unreadable (MALFORMED_HEADER), or Unsupported if the body is no JSON. No web page can send what is
        demanded here without being asked first (CORS), so none can send records of its own.
        """
        if headers.get("x-amz-firehose-protocol-version") != VERSION:
            raise _flaw("X-Amz-Firehose-Protocol-Version", f"must be {VERSION}")
        request_id = headers.get("x-amz-firehose-request-id", "")
        if not REQUEST_ID.fullmatch(request_id):
            raise _flaw("X-Amz-Firehose-Request-Id", "must be 1 to 128 printable ASCII characters")
        if "upgrade" in headers and "upgrade" in headers.get("connection", "").lower():
            raise _flaw("Upgrade", "is not taken here")
        if parse(headers.get("content-type", "")).essence != "application/json":
            raise Unsupported(Code.UNSUPPORTED_MEDIA_TYPE, "Content-Type: must be application/json")
        found = _common(headers.get(_ATTRIBUTES))
        if arn := headers.get(_ARN):
            found[_ARN] = arn.encode("latin-1")
        return cls(request_id, found)


def _common(text: str | None) -> dict[str, bytes]:
    """The common attributes. Raises Unreadable."""
    if not text:
        return {}
    name = "X-Amz-Firehose-Common-Attributes"
    try:
        common = msgspec.json.decode(text.encode("latin-1"), type=_Common).common_attributes
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise _flaw(name, 'must be {"commonAttributes": {"name": "value"}}') from None
    if len(common) > MOST_ATTRIBUTES or any(
        not 0 < len(key) <= MOST_NAME or len(value) > MOST_VALUE for key, value in common.items()
    ):
        raise _flaw(
            name,
            f"at most {MOST_ATTRIBUTES}, with names of 1 to {MOST_NAME} and values of up to {MOST_VALUE} characters",
        )
    try:
        return {key.lower(): value.encode() for key, value in common.items()}
    except UnicodeError:
        raise _flaw(name, "has half a surrogate pair") from None


def _flaw(name: str, why: str) -> Unreadable:
    return Unreadable(Code.MALFORMED_HEADER, f"{name}: {why}")
