"""Strict JSON of bounded depth: what is not exactly one JSON text in UTF-8 is refused, with its place.

Numbers beyond a double's range are refused (never read as infinity); integers beyond 64 bits are read as
doubles, for validation only: the bytes are delivered as they came. Of duplicate keys the last one counts for
validation (RFC 8259 §4 leaves it open), while the bytes, with all of them, are delivered as they came.
"""

import re
from typing import Any

import orjson

from service.errors import Code, InvalidEvent

_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def loads(body: bytes, nesting: int) -> Any:
    """The value in `body`. Raises InvalidEvent (MALFORMED_EVENT, NESTED_TOO_DEEP) with what and where."""
    if nests_deeper(body, nesting):
        raise InvalidEvent(Code.NESTED_TOO_DEEP, f"nested deeper than {nesting} levels", limit=nesting, errors=[])
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidEvent(Code.MALFORMED_EVENT, f"not JSON: {error}") from None


def nests_deeper(body: bytes, levels: int) -> bool:
    """Whether arrays and objects in `body` nest deeper than `levels`. Linear, without recursion."""
    if body.count(b"[") + body.count(b"{") <= levels:
        return False
    depth = 0
    for match in _STRUCTURE.finditer(body):
        first = body[match.start()]
        if first in b"[{":
            depth += 1
            if depth > levels:
                return True
        elif first in b"]}":
            depth -= 1
    return False
