"""CloudFormation's functions in their short forms, and a template as YAML that people can read."""

from collections.abc import Mapping
from typing import Any

import yaml
from msgspec import Struct

WIDTH = 112


class Ref(Struct, frozen=True):
    """`!Ref`: the value of a parameter, or the name of a resource."""

    name: str


class Sub(Struct, frozen=True):
    """`!Sub`: a text with `${...}` filled in."""

    text: str


class Empty(Struct, frozen=True):
    """`!Equals [!Ref name, ""]`: whether a parameter was not given."""

    name: str


class Given(Struct, frozen=True):
    """`!Not` of it."""

    name: str


class If(Struct, frozen=True):
    """`!If`: one of two values, as a condition says."""

    condition: str
    then: Any
    otherwise: Any


class InLine(dict[str, str]):
    """A mapping that is written in one line."""


class _Dumper(yaml.SafeDumper):
    """Mappings in their own order, no aliases (CloudFormation knows none), tuples in one line."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


def _sub(dumper: _Dumper, sub: Sub) -> yaml.Node:
    return dumper.represent_scalar("!Sub", sub.text, style="|" if "\n" in sub.text else None)


def _empty(dumper: _Dumper, empty: Empty) -> yaml.Node:
    return yaml.SequenceNode("!Equals", [_plain("!Ref", empty.name), dumper.represent_data("")], flow_style=True)


def _given(dumper: _Dumper, given: Given) -> yaml.Node:
    return yaml.SequenceNode("!Not", [_empty(dumper, Empty(given.name))], flow_style=True)


def _plain(tag: str, value: str) -> yaml.Node:
    return yaml.ScalarNode(tag, value)


def _line(dumper: _Dumper, line: InLine) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", line.items(), flow_style=True)


def _parts(dumper: _Dumper, parts: tuple[Any, ...]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", parts, flow_style=True)


def _if(dumper: _Dumper, chosen: If) -> yaml.Node:
    parts = [dumper.represent_data(each) for each in (chosen.condition, chosen.then, chosen.otherwise)]
    return yaml.SequenceNode("!If", parts, flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Ref, lambda _, ref: _plain("!Ref", ref.name))
_Dumper.add_representer(Sub, _sub)
_Dumper.add_representer(Empty, _empty)
_Dumper.add_representer(Given, _given)
_Dumper.add_representer(If, _if)
_Dumper.add_representer(InLine, _line)
_Dumper.add_representer(tuple, _parts)


def as_yaml(template: Mapping[str, Any]) -> str:
    """The template as text; the same for the same template, always."""
    return yaml.dump(dict(template), Dumper=_Dumper, sort_keys=False, width=WIDTH, allow_unicode=False)
