"""The outline of a JSON text: its names, and the types of its values, without any value."""

from typing import Any, Final

import orjson

MOST_BYTES: Final = 64 * 1024
"""A longer text is not read for its outline."""
MOST_NAMES: Final = 16
"""Of one object."""
MOST_DEPTH: Final = 4
MOST_PARTS: Final = 100
"""Values that are shown of all."""
_NAME_CHARACTERS: Final = 64


def outline(text: bytes) -> Any:
    """Names and types, such as `{"id": "string", "lines": ["object", "2 more"]}`; a sentence if it is no short JSON.

    Names are shown: where they are data themselves (an object by customer) so are those.
    """
    if len(text) > MOST_BYTES:
        return f"{len(text)} bytes"
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return f"{len(text)} bytes that are no JSON"
    return _outline(value, MOST_DEPTH, [MOST_PARTS])


def _outline(value: Any, depth: int, left: list[int]) -> Any:
    """`left`: how many parts may be shown yet."""
    left[0] -= 1
    match value:
        case dict() if depth and left[0] > 0:
            shown = {}
            for name, each in list(value.items())[:MOST_NAMES]:
                if left[0] <= 0:
                    break
                shown[name[:_NAME_CHARACTERS]] = _outline(each, depth - 1, left)
            if len(value) > len(shown):
                shown["..."] = f"{len(value) - len(shown)} more"
            return shown
        case list() if depth and value and left[0] > 0:
            more = [f"{len(value) - 1} more"] if len(value) > 1 else []
            return [_outline(value[0], depth - 1, left), *more]
        case _:
            return _type(value)


def _type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"
