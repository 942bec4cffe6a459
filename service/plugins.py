"""Finds plugins: `kinesis` is the one class with a nested `Config` in `service/sinks/kinesis.py`, and the source `sqs`
the one in `service/sources/sqs/source.py`, for it has a room of its own.

`my_pkg.sinks:Mine` is someone else's.
"""

import ast
import inspect
import re
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

import service

Kind = Literal["sinks", "schemas", "sources", "envelopes"]

_ROOM: dict[Kind, str] = {"sinks": "sink", "schemas": "schema", "sources": "source", "envelopes": "envelope"}
"""The file of the plugin's class, where it has a room."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def load(kind: Kind, type: str) -> Any:
    """The plugin's class. Raises ValueError that names what exists, or what is wrong with what was found."""
    if ":" in type:
        return _load_path(type)
    if not _NAME.fullmatch(type) or type not in (places := _places(kind)) or not _has_config(places[type]):
        raise ValueError(_unknown(kind, type))
    inside = places[type].relative_to(_folder(kind)).with_suffix("").parts
    return _only_class(".".join(["service", kind, *inside]))


def known(kind: Kind) -> list[str]:
    """Names of our own plugins of a kind, sorted. Reads the files without importing them."""
    return sorted(name for name, path in _places(kind).items() if _NAME.fullmatch(name) and _has_config(path))


def _places(kind: Kind) -> dict[str, Path]:
    """The file in which each of our own plugins would be, by name: of that name, or one in a room of that name."""
    folder = _folder(kind)
    rooms = {path.parent.name: path for path in folder.glob(f"*/{_ROOM[kind]}.py")}
    return rooms | {path.stem: path for path in folder.glob("*.py")}


def _folder(kind: Kind) -> Path:
    return Path(service.__path__[0], kind)


def _has_config(path: Path) -> bool:
    """True if the file is there and declares a plugin: contracts and shared modules have no class with a `Config`."""
    if not path.is_file():
        return False
    classes = [node for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.ClassDef)]
    return any(isinstance(n, ast.ClassDef) and n.name == "Config" for owner in classes for n in owner.body)


def _unknown(kind: Kind, type: str) -> str:
    names = known(kind)
    near = get_close_matches(type, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(names) or "none"
    return f"{type!r} is not a known type.{hint} Known: {listed}; or name your own class, `package.module:Class`"


def _load_path(type: str) -> Any:
    if not _PATH.fullmatch(type):
        raise ValueError(f"{type!r} is not of the form `package.module:Class`")
    module, _, name = type.partition(":")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError as error:
        raise ValueError(f"{type!r} cannot be imported: {error}; is its package installed?") from error
    except Exception as error:
        # somebody else's module may raise anything while it is imported; that is one mistake among the others
        raise ValueError(f"{type!r} cannot be imported: {error.__class__.__name__}: {error}") from error
    if found is None:
        raise ValueError(f"module {module!r} has no {name!r}")
    if not _is_plugin(found):
        raise ValueError(f"{type!r} is no plugin: it must be a class with a pydantic model as `Config`")
    return found


def _only_class(module: str) -> Any:
    try:
        members = vars(import_module(module)).values()
    except ImportError as error:
        raise ValueError(f"{module} needs a package that is not installed: {error}") from error
    found = [m for m in members if _is_plugin(m) and m.__module__ == module]
    if len(found) != 1:
        raise ValueError(f"{module} must define one class with a `Config`, it defines {len(found)}")
    return found[0]


def _is_plugin(value: object) -> bool:
    config = getattr(value, "Config", None)
    return inspect.isclass(value) and inspect.isclass(config) and issubclass(config, BaseModel)
