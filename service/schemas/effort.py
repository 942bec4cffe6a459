"""How much work a schema makes: how often its parts are tried at the values on one way into the data.

A validator that says yes or no remembers what it has tried. One that says why not does not: where alternatives refer
to each other, a few brackets within each other make it try the same for hours. What is found here is no less than what
may be tried on the way to any value, so that it can be known before.
Sources: JSON Schema 2020-12, core, sections 8 to 11, and the earlier drafts where a keyword means something else there.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin

from service.schemas.patterns import size

LEVELS: Final = 64
"""Deepest data for which the work is known of a schema that refers to itself."""
MOST: Final = 2_000_000
"""Above it, nobody needs to know more."""

_SAME: Final = ("not", "if", "then", "else")
_SAME_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SAME_MAPS: Final = ("dependentSchemas", "dependencies")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_DATA: Final = frozenset({"enum", "const", "default", "examples"})
_NAMED: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
"""Whose keys are names, of whatever kind: a property may be called `default`."""
Node = dict[str, Any]


class Effort:
    """Of one schema, which compiles."""

    def __init__(self, schema: Any) -> None:
        """Raises RecursionError if it cannot be followed."""
        self._named: dict[str, Node] = {}
        self._bases: dict[int, str] = {}
        self.collects = False
        """Whether alternatives are in it: what is said of one that fails says why each of them does."""
        self.largest_pattern = 0
        """Its size; 0 without any."""
        self._index(schema, "")
        self._levels: list[float] = [1.0]
        self._settled = True
        if isinstance(schema, dict):
            self._levels, self._settled = self._measured(schema)

    def on_a_way(self, depth: int) -> float:
        """Most parts of the schema that are tried on a way of `depth` steps into the data, at all values on it."""
        if depth < len(self._levels):
            return self._levels[depth]
        return self._levels[-1] if self._settled else inf

    def _measured(self, schema: Node) -> tuple[list[float], bool]:
        """The most for each depth, and whether deeper data adds nothing."""
        levels: list[float] = []
        before: dict[int, float] | None = None
        while len(levels) <= LEVELS:
            now: dict[int, float] = {}
            waiting: list[Any] = [schema]
            while waiting:
                self._cost(waiting.pop(), before, now, waiting)
            levels.append(now[id(schema)])
            if levels[-1] > MOST:
                break
            if before is not None and all(before.get(node) == cost for node, cost in now.items()):
                return levels, True
            before = now
        return levels, False

    def _index(self, value: Any, base: str) -> None:
        """Find what may be referred to, and from where references count."""
        if isinstance(value, list):
            for each in value:
                self._index(each, base)
        if not isinstance(value, dict):
            return
        identity = next((name for key in ("$id", "id") if isinstance(name := value.get(key), str)), None)
        if identity is not None:
            base = urljoin(base, identity)
        if identity is not None or not self._named:
            self._named.setdefault(base, value)
            self._named.setdefault(base.removesuffix("#"), value)
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(name := value.get(key), str):
                self._named[f"{urldefrag(base).url}#{name}"] = value
        self._bases[id(value)] = urldefrag(base).url
        self.collects = self.collects or "anyOf" in value or "oneOf" in value
        patterns = [value.get("pattern"), *_names(value, "patternProperties")]
        self.largest_pattern = max(self.largest_pattern, *(size(each) for each in patterns if isinstance(each, str)), 0)
        for key, each in value.items():
            if key in _NAMED and isinstance(each, dict):
                for named in each.values():
                    self._index(named, base)
            elif key not in _DATA:
                self._index(each, base)

    def _cost(self, node: Any, below: dict[int, float] | None, found: dict[int, float], waiting: list[Any]) -> float:
        """Of `node` at a value; `below`: of each one level shallower, None where the data ends.

        What may hold for values within is `waiting`: it counts from a value of its own.
        """
        if not isinstance(node, dict):
            return 1.0
        known = found.get(id(node))
        if known is not None:
            return known
        found[id(node)] = 0.0  # a circle without a step into the data is gone round once
        waiting.extend(_children(node))
        total = 1.0 + sum(self._cost(each, below, found, waiting) for each in self._at_the_same_value(node))
        if below is not None:
            total += self._within(node, below)
        found[id(node)] = total = min(total, 2.0 * MOST)
        return total

    def _at_the_same_value(self, node: Node) -> Iterator[Any]:
        yield from (node[key] for key in _SAME if key in node)
        for key in _SAME_LISTS:
            yield from _list(node, key)
        for key in _SAME_MAPS:
            yield from _map(node, key)
        for key in _REFERENCES:
            if isinstance(target := node.get(key), str):
                yield self._resolved(urljoin(self._bases.get(id(node), ""), target))

    def _resolved(self, target: str) -> Any:
        url, fragment = urldefrag(target)
        if fragment and not fragment.startswith("/"):
            return self._named.get(target)
        found: Any = self._named.get(url)
        for token in unquote(fragment).split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list):
                found = found[int(name)] if name.isdecimal() and int(name) < len(found) else None
            else:
                found = found.get(name) if isinstance(found, dict) else None
        return found

    @staticmethod
    def _within(node: Node, below: Mapping[int, float]) -> float:
        """At one value within that at which `node` is: a name is one property, an index one item."""

        def cost(each: Any) -> float:
            return below.get(id(each), 1.0) if isinstance(each, dict) else 0.0 if each is None else 1.0

        one = max((cost(each) for each in _map(node, "properties")), default=0.0)
        names = max(one, cost(node.get("additionalProperties")))
        names += sum(map(cost, _map(node, "patternProperties"))) + cost(node.get("unevaluatedProperties"))
        names += cost(node.get("propertyNames"))
        listed = [*_list(node, "prefixItems"), *_list(node, "items")]
        rest = [node.get("additionalItems"), None if isinstance(node.get("items"), list) else node.get("items")]
        items = max(map(cost, [*listed, *rest])) + cost(node.get("contains")) + cost(node.get("unevaluatedItems"))
        return max(names, items)


def _children(node: Node) -> Iterator[Any]:
    """The schemas that hold for values within, or that only references lead to."""
    for key in ("properties", "patternProperties", "$defs", "definitions"):
        yield from _map(node, key)
    for key in ("prefixItems", "items"):
        yield from _list(node, key)
    for key in (
        "items", "additionalItems", "unevaluatedItems", "contains",
        "additionalProperties", "unevaluatedProperties", "propertyNames",
    ):  # fmt: skip
        if isinstance(each := node.get(key), dict):
            yield each


def _list(node: Node, key: str) -> Iterable[Any]:
    value = node.get(key)
    return value if isinstance(value, list) else ()


def _names(node: Node, key: str) -> Iterable[str]:
    value = node.get(key)
    return value if isinstance(value, dict) else ()


def _map(node: Node, key: str) -> Iterable[Any]:
    value = node.get(key)
    return value.values() if isinstance(value, dict) else ()
