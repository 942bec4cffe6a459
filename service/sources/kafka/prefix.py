"""How the names of topics begin that a pattern finds: what IAM can be told of it, which knows no expressions."""

import re

_BEGINNING = re.compile(r"\^((?:[A-Za-z0-9_-]|\\\.)*)")
_ESCAPED = re.compile(r"\\.|\[\^?\]?[^]]*\]")
_INNERMOST = re.compile(r"\([^()]*\)")


def names(topic: str) -> str:
    """The topic's name, or of a pattern (`^...`) the least that covers it: a beginning, with `*` for the rest."""
    if not topic.startswith("^"):
        return topic
    if _has_alternatives(topic):
        return "*"
    match = _BEGINNING.match(topic)
    assert match is not None
    rest = topic[match.end() :]
    beginning = match[1].replace("\\.", ".")
    if rest.startswith(("*", "?", "{")):
        return f"{beginning[:-1]}*"  # the last character may be missing
    return beginning if rest == "$" else f"{beginning}*"


def _has_alternatives(pattern: str) -> bool:
    """Whether it is two patterns, of which the second may be found in the midst of a name."""
    flat = _ESCAPED.sub("", pattern)
    while (outer := _INNERMOST.sub("", flat)) != flat:
        flat = outer
    return "|" in flat
