"""Counts the steps of a backtracking regular-expression engine, so that a test can bound them without a clock."""

import re
from collections.abc import Callable
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

Next = Callable[[int], int | None]


class TooManySteps(AssertionError):
    """The pattern does more work on the text than the test allows."""


def steps(pattern: re.Pattern[str], text: str, most: int) -> int:
    """How many items of `pattern` are tried to match `text` from its start to its end. Raises TooManySteps."""
    walk = _Walk(text, most)
    walk.sequence(list(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)), 0, 0, walk.at_end)
    return walk.count


class _Walk:
    def __init__(self, text: str, most: int) -> None:
        self.text = text
        self.most = most
        self.count = 0

    def at_end(self, at: int) -> int | None:
        return at if at == len(self.text) else None

    def sequence(self, items: list[Any], index: int, at: int, then: Next) -> int | None:
        if index == len(items):
            return then(at)
        self.count += 1
        if self.count > self.most:
            raise TooManySteps(f"more than {self.most} steps")
        kind, value = items[index]
        return self.item(kind, value, at, lambda end: self.sequence(items, index + 1, end, then))

    def item(self, kind: Any, value: Any, at: int, then: Next) -> int | None:
        match kind:
            case op.LITERAL | op.NOT_LITERAL | op.IN | op.ANY:
                return then(at + 1) if at < len(self.text) and _holds(kind, value, self.text[at]) else None
            case op.SUBPATTERN:
                return self.sequence(list(value[-1]), 0, at, then)
            case op.BRANCH:
                ends = (self.sequence(list(branch), 0, at, then) for branch in value[1])
                return next((end for end in ends if end is not None), None)
            case op.MAX_REPEAT:
                return self.repeat(value, at, then)
            case op.POSSESSIVE_REPEAT:
                low, high, body = value
                done = 0
                while done < high and (end := self.sequence(list(body), 0, at, _here)) is not None and end > at:
                    at, done = end, done + 1
                return then(at) if done >= low else None
            case op.ASSERT | op.ASSERT_NOT:
                found = self.sequence(list(value[1]), 0, at, _here) is not None
                return then(at) if found is (kind is op.ASSERT) else None
            case op.AT:
                return then(at) if value is not op.AT_END_STRING or at == len(self.text) else None
        raise NotImplementedError(str(kind))

    def repeat(self, value: Any, at: int, then: Next, done: int = 0) -> int | None:
        low, high, body = value
        if done < high:
            more = self.sequence(
                list(body), 0, at, lambda end: self.repeat(value, end, then, done + 1) if end > at else None
            )
            if more is not None:
                return more
        return then(at) if done >= low else None


def _here(at: int) -> int:
    return at


def _holds(kind: Any, value: Any, character: str) -> bool:
    code = ord(character)
    match kind:
        case op.LITERAL:
            return bool(code == value)
        case op.NOT_LITERAL:
            return bool(code != value)
        case op.ANY:
            return True
    negated = value[0][0] is op.NEGATE
    for member, argument in value:
        if (member is op.LITERAL and code == argument) or (member is op.RANGE and argument[0] <= code <= argument[1]):
            return not negated
    return negated
