"""A table in columns for the terminal, or in Markdown: first and last column to the left, figures to the right."""

from collections.abc import Sequence


def text(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In columns."""
    every = [head, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(head) - 1)]
    lines = []
    for row in every:
        aligned = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join([*aligned, row[-1]]).rstrip())
    return "\n".join(lines)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    rule = "|---|" + "--:|" * (len(head) - 2) + "---|"
    return "\n".join([_piped(head), rule, *map(_piped, rows)])


def _piped(row: Sequence[str]) -> str:
    return "| " + " | ".join(row) + " |"
