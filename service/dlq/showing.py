"""Dead letters for a person: a table, or one letter whole. What producers sent commands no terminal."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from service.dlq.letter import Letter
from service.units import format_size

_COLUMNS = ("ID", "ROUTE", "SINK", "REASON", "ATTEMPTS", "DEAD-LETTERED AT", "SIZE")
_MOST_CHARACTERS = 64
"""Of one cell."""


def row(letter: Letter) -> tuple[str, ...]:
    """The letter as cells of the table."""
    return (
        printable(letter.id),
        printable(letter.route),
        printable(letter.sink) or "-",
        printable(letter.reason),
        str(letter.attempts),
        letter.dead_lettered_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        format_size(letter.size),
    )


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Aligned columns under their names; a cell that is too long is cut."""
    cut = [tuple(_cut(cell) for cell in cells) for cells in (_COLUMNS, *rows)]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in cut
    )


def as_json(letter: Letter, body: bool = False) -> str:
    """One line of JSON: the envelope's members and the sizes; with `body` the letter whole."""
    members: dict[str, Any] = {**letter.members, "id": letter.id}
    members |= _body(letter) if body else {"body_bytes": len(letter.body), "bytes": letter.size}
    return orjson.dumps(members).decode()


def whole(letter: Letter, place: str) -> str:
    """All that is known of a letter, and the body as text where it is text."""
    lines = [f"{name}: {_value(value)}" for name, value in ({"from": place} | dict(letter.members)).items()]
    try:
        text = printable(letter.body.decode(), keep="\n\t")
    except UnicodeDecodeError:
        text = f"({len(letter.body)} bytes that are not text; --body writes them as they are)"
    return "\n".join([*lines, "", text])


def printable(text: str, keep: str = "") -> str:
    """`text` with escapes for what a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape", "backslashreplace").decode()
        for character in text
    )


def _value(value: Any) -> str:
    return printable(value if isinstance(value, str) else orjson.dumps(value).decode())


def _cut(cell: str) -> str:
    return cell if len(cell) <= _MOST_CHARACTERS else f"{cell[: _MOST_CHARACTERS - 1]}…"


def _body(letter: Letter) -> Mapping[str, str]:
    try:
        return {"body": letter.body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(letter.body).decode()}
