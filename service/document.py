"""A YAML file and the environment, read into one document that knows where each value stands.

`${VAR}` (unset is a mistake), `${VAR:-default}`, `${VAR:?message}` and `$$` are replaced per scalar after YAML parsing.
`PENSTOCK__SINKS__ORDERS__STREAM=...` sets one value. All mistakes are collected, none is raised alone. No mistake
quotes a value: it may be a secret.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Place = tuple[str | int, ...]
"""A path into the document: `("routes", "orders", "to", 0)`."""

DEFAULT_FILE = "penstock.yaml"
FILE_VARIABLE = "PENSTOCK_CONFIG"
TEXT_VARIABLE = "PENSTOCK_CONFIG_YAML"
"""Holds the text of a file: for containers that get variables more easily than files."""
OVERRIDE_PREFIX = "PENSTOCK__"
_DEEPEST = 40
_MOST_VALUES = 100_000
"""Aliases of aliases can name more values than a file has bytes."""

_MERGE = "tag:yaml.org,2002:merge"
_REFERENCE = re.compile(r"\$(?:\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<how>[-?])(?P<text>[^}]*))?\}|(?P<bad>\{))")
_QUOTED_BY_YAML = re.compile(r" '(?!<)[^']{2,}'")
"""A name in one of PyYAML's messages; what it expects and finds are single characters and `<token>`s."""


@dataclass
class Document:
    """What was read, where each value stands, and what could not be read."""

    value: dict[str, Any] = field(default_factory=dict)
    origin: str = ""
    """The file, as named by the caller, or TEXT_VARIABLE; empty without one."""
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


def find(explicit: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The file to use: `explicit`, else PENSTOCK_CONFIG, else ./penstock.yaml if it exists, else None.

    None also if PENSTOCK_CONFIG_YAML holds the text: an image may name a file that a deployment does without.
    """
    if explicit is not None:
        return explicit
    if environment.get(TEXT_VARIABLE):
        return None
    if named := environment.get(FILE_VARIABLE):
        return Path(named)
    default = Path(DEFAULT_FILE)
    return default if default.exists() else None


def read(path: Path | None, environment: Mapping[str, str], otherwise: dict[str, Any] | None = None) -> Document:
    """The tree of the file at `path` under the overrides of `environment`. None: of TEXT_VARIABLE, else `otherwise`."""
    if path is not None:
        document = Document(origin=str(path))
        _read_file(path, document, environment)
    elif text := environment.get(TEXT_VARIABLE):
        document = Document(origin=TEXT_VARIABLE)
        _read_text(text, document, environment)
    else:
        document = Document(otherwise or {})
    _override(document, environment)
    return document


def _read_file(path: Path, document: Document, environment: Mapping[str, str]) -> None:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        document.mistakes.append(f"{path}: cannot be read: {error.strerror}")
        return
    except UnicodeDecodeError:
        document.mistakes.append(f"{path}: is not UTF-8")
        return
    _read_text(text, document, environment)


def _read_text(text: str, document: Document, environment: Mapping[str, str]) -> None:
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        document.mistakes.append(_not_yaml(document.origin, text, error))
        return
    except RecursionError:
        document.mistakes.append(f"{document.origin}: nested too deeply to be read")
        return
    if node is None:
        return
    document.lines[()] = node.start_mark.line + 1
    value = _Reader(loader, document, environment).value(node, ())
    if isinstance(value, dict):
        document.value = value
    else:
        document.add((), "must be a mapping with keys such as `sinks:` and `routes:`")


def _not_yaml(origin: str, text: str, error: yaml.YAMLError) -> str:
    """The mistake, with its line, and a hint where the cause is known to be another than YAML's message says."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{origin}: is not YAML: it holds a character that cannot stand in a text file"
    lines = text.splitlines()
    problem = _QUOTED_BY_YAML.sub("", getattr(error, "problem", None) or "it cannot be read")
    hint = ""
    if mark.line < len(lines) and "${" in lines[mark.line]:
        hint = '; inside {...} and [...] a variable must be quoted: "${NAME}"'
    return f"{origin}:{mark.line + 1}: is not YAML: {problem}{hint}"


class _Reader:
    """Turns YAML nodes into plain values, noting the line of each."""

    def __init__(self, loader: yaml.SafeLoader, document: Document, environment: Mapping[str, str]) -> None:
        self._loader = loader
        self._document = document
        self._environment = environment
        self._left = _MOST_VALUES

    def value(self, node: yaml.Node, place: Place) -> Any:
        """The plain value of `node`, which stands at `place`; None, with the mistake noted, if it has none."""
        self._left -= 1
        if self._left < 0:
            if self._left == -1:
                self._document.add((), f"more than {_MOST_VALUES:,} values, by way of aliases")
            return None
        if len(place) > _DEEPEST:
            self._document.add(place[:4], f"nested deeper than {_DEEPEST} levels")
            return None
        match node:
            case yaml.MappingNode():
                return self._mapping(node, place)
            case yaml.SequenceNode():
                return [self._item(item, (*place, index)) for index, item in enumerate(node.value)]
            case _:
                value = self._scalar(node, place)
                return self._interpolated(value, place) if isinstance(value, str) else value

    def _item(self, node: yaml.Node, place: Place) -> Any:
        self._document.lines[place] = node.start_mark.line + 1
        return self.value(node, place)

    def _scalar(self, node: yaml.Node, place: Place) -> Any:
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            # ValueError: what looks like a date or a number and is none; neither is shown, both quote the value
            kind = "this tag" if node.tag.startswith("!") else "a value of this form"
            self._document.add(place, f"{kind} means nothing here; quote the value")
            return None

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        own = set[str]()
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                result = self._merged(value_node, place) | result
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self._scalar(key_node, place) if isinstance(key_node, yaml.ScalarNode) else None
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                self._document.mistakes.append(
                    f"{self._document.origin}:{line}: {dotted(place) or 'the configuration'}: "
                    "a key must be text; quote it"
                )
                continue
            here = (*place, key)
            self._document.lines[here] = line
            if key in own:
                self._document.add(here, "stands here twice")
            own.add(key)
            result[key] = self.value(value_node, here)
        return result

    def _merged(self, node: yaml.Node, place: Place) -> dict[str, Any]:
        """What `<<:` brings: one mapping, or several of which the first has the last word (YAML, merge key)."""
        result: dict[str, Any] = {}
        for each in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(each, yaml.MappingNode):
                result = self._mapping(each, place) | result
            else:
                self._document.add((*place, "<<"), "must name a mapping")
        return result

    def _interpolated(self, text: str, place: Place) -> str:
        def replace(match: re.Match[str]) -> str:
            name, how, rest = match["name"], match["how"], match["text"]
            if match[0] == "$$":
                return "$"
            if match["bad"]:
                self._document.add(place, "`${` begins a variable; write ${NAME}, ${NAME:-default}, or $$ for a dollar")
                return match[0]
            if rest and "${" in rest:
                self._document.add(place, f"${{{name}:{how}...}} holds another variable; that is not replaced")
                return match[0]
            value = self._environment.get(name)
            if value or (value is not None and how is None):
                return value
            if how == "-":
                return str(rest)
            self._document.add(place, f"environment variable {name} is not set" + (f": {rest}" if rest else ""))
            return ""

        return _REFERENCE.sub(replace, text)


def _override(document: Document, environment: Mapping[str, str]) -> None:
    for name in sorted(environment):
        if not name.startswith(OVERRIDE_PREFIX):
            continue
        path = tuple(part.lower() for part in name.removeprefix(OVERRIDE_PREFIX).split("__"))
        if not all(path):
            document.mistakes.append(f"environment variable {name}: write {OVERRIDE_PREFIX}SINKS__ORDERS__STREAM=...")
            continue
        parent: Any = document.value
        for depth, part in enumerate(path[:-1], 1):
            if not isinstance(parent, dict):
                break
            if parent.get(part) is None:
                parent[part] = {}
                document.overrides[path[:depth]] = name
            parent = parent[part]
        if isinstance(parent, dict):
            parent[path[-1]] = _overriding(environment[name])
            document.overrides[path] = name
        else:
            document.mistakes.append(
                f"environment variable {name}: {dotted(path[:-1])} is not a mapping, nothing is below it"
            )


def _overriding(text: str) -> Any:
    """A list or mapping where the text is one in YAML (`[a, b]`), else the text; settings know their own types."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return text
