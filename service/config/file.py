"""The configuration's sources: a YAML file and the environment, read into one tree that knows where each value stands.

`${VAR}` (unset is a mistake), `${VAR:-default}`, `${VAR:?message}` and `$$` are replaced per scalar after YAML parsing.
`PENSTOCK__SINKS__ORDERS__STREAM=...` sets one value. All mistakes are collected, none is raised alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Place = tuple[str | int, ...]
"""A path into the tree: `("routes", "orders", "to", 0)`."""

OVERRIDE_PREFIX = "PENSTOCK__"
_DEEPEST = 40
_REFERENCE = re.compile(r"\$(?:\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<how>[-?])(?P<text>[^}]*))?\}|(?P<bad>\{?))")


@dataclass
class Tree:
    """What was read, where each value stands, and what could not be read."""

    value: dict[str, Any] = field(default_factory=dict)
    origin: str = ""
    """The file, as named by the caller; empty without one."""
    lines: dict[Place, int] = field(default_factory=dict)
    overrides: dict[Place, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def add(self, place: Place, message: str) -> None:
        """Note a mistake at `place`."""
        self.mistakes.append(f"{self._where(place)}{dotted(place) or 'the configuration'}: {message}")

    def _where(self, place: Place) -> str:
        """`penstock.yaml:12: `, of the value itself or of the nearest one around it."""
        for length in range(len(place), -1, -1):
            if (name := self.overrides.get(place[:length])) is not None:
                return f"environment variable {name}: "
            if (line := self.lines.get(place[:length])) is not None:
                return f"{self.origin}:{line}: "
        return f"{self.origin}: " if self.origin else ""


def dotted(place: Place) -> str:
    """`routes.orders.to[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def read(path: Path | None, environment: Mapping[str, str]) -> Tree:
    """The tree of the file at `path` (None: empty) under the overrides of `environment`."""
    tree = Tree(origin=str(path) if path else "")
    if path is not None:
        _read_file(path, tree, environment)
    _override(tree, environment)
    return tree


def _read_file(path: Path, tree: Tree, environment: Mapping[str, str]) -> None:
    try:
        loader = yaml.SafeLoader(path.read_text("utf-8"))
        node = loader.get_single_node()
    except OSError as error:
        tree.mistakes.append(f"{path}: cannot be read: {error.strerror}")
        return
    except UnicodeDecodeError:
        tree.mistakes.append(f"{path}: is not UTF-8")
        return
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        tree.mistakes.append(f"{path}{line}: is not YAML: {getattr(error, 'problem', None) or error}")
        return
    value = _Reader(loader, tree, environment).value(node, ()) if node is not None else {}
    if isinstance(value, dict):
        tree.value = value
    else:
        tree.add((), "must be a mapping with keys such as `sinks:` and `routes:`")


class _Reader:
    """Turns YAML nodes into plain values, noting the line of each."""

    def __init__(self, loader: yaml.SafeLoader, tree: Tree, environment: Mapping[str, str]) -> None:
        self._loader = loader
        self._tree = tree
        self._environment = environment

    def value(self, node: yaml.Node, place: Place) -> Any:
        self._tree.lines.setdefault(place, node.start_mark.line + 1)
        if len(place) > _DEEPEST:
            self._tree.add(place, f"nested deeper than {_DEEPEST} levels")
            return None
        match node:
            case yaml.MappingNode():
                return self._mapping(node, place)
            case yaml.SequenceNode():
                return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
            case _:
                value = self._loader.construct_object(node)
                return self._interpolated(value, place) if isinstance(value, str) else value

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        self._loader.flatten_mapping(node)
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._loader.construct_object(key_node)
            if not isinstance(key, str):
                self._tree.add(place, f"the key {key!r} must be text; quote it")
                continue
            here = (*place, key)
            if key in result:
                self._tree.lines[here] = key_node.start_mark.line + 1
                self._tree.add(here, "stands here twice")
            self._tree.lines[here] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, here)
        return result

    def _interpolated(self, text: str, place: Place) -> str:
        def replace(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            if match["bad"] is not None:
                if match["bad"]:
                    self._tree.add(place, "`${` begins a variable; write ${NAME}, ${NAME:-default}, or $$ for a dollar")
                return match[0]
            name, how, rest = match["name"], match["how"], match["text"]
            value = self._environment.get(name)
            if value or (value is not None and how is None):
                return value
            if how == "-":
                return str(rest)
            self._tree.add(place, f"environment variable {name} is not set" + (f": {rest}" if rest else ""))
            return ""

        return _REFERENCE.sub(replace, text)


def _override(tree: Tree, environment: Mapping[str, str]) -> None:
    for name in sorted(environment):
        if not name.startswith(OVERRIDE_PREFIX):
            continue
        path = tuple(part.lower() for part in name.removeprefix(OVERRIDE_PREFIX).split("__"))
        if not all(path):
            tree.mistakes.append(f"environment variable {name}: write {OVERRIDE_PREFIX}SINKS__ORDERS__STREAM=...")
            continue
        tree.overrides[path] = name
        parent: Any = tree.value
        for part in path[:-1]:
            parent = parent.setdefault(part, {}) if isinstance(parent, dict) else None
        if isinstance(parent, dict):
            parent[path[-1]] = environment[name]
        else:
            tree.mistakes.append(
                f"environment variable {name}: {dotted(path[:-1])} is not a mapping, nothing is below it"
            )
