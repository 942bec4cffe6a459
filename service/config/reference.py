"""The configuration in words: `docs/configuration.md` from the settings models, and the effective tree as YAML."""

import types
from collections.abc import Iterator
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from service import plugins
from service.aws.settings import AwsConfig
from service.config.load import Config
from service.config.settings import AdminConfig, Auth, DeadLetter, LogConfig, RouteConfig, ServerConfig, To
from service.schemas.contract import SchemaConfig
from service.sinks.contract import SinkConfig
from service.units import format_duration, format_size

_HEAD = """# Configuration

Written from the settings models by `make generated`; a test compares. Every mistake is listed by `penstock check`,
with its file, line, path and what is allowed; `penstock config` prints what is in effect.

- Found at `--config`, `PENSTOCK_CONFIG` or `./penstock.yaml`; without any, events go to files in `./penstock-data`.
- `${VAR}` (unset is a mistake), `${VAR:-default}`, `${VAR:?message}` and `$$` (a dollar) stand in any value; quote
  them inside `{...}`.
- `PENSTOCK__SINKS__ORDERS__STREAM=orders` sets one value from the environment; one that sets nothing is a mistake.
- Sizes: `512KiB`, `64MiB`, `1GB`. Durations: `100ms`, `20s`, `5m`, `1h`. Names: `[a-z][a-z0-9_]*`.
"""


def reference() -> str:
    """The whole of `docs/configuration.md`."""
    parts = [_HEAD]
    parts += _section("`server`: the HTTP source", ServerConfig)
    parts += _section("`server.auth`", Auth, "`none`, or a mapping:")
    parts += _section("`admin`: the admin port", AdminConfig)
    parts += _section("`aws`: for every sink of AWS, unless it says otherwise itself", AwsConfig)
    parts += _section("`logs`", LogConfig)
    parts += _section("`routes.NAME`: a stream of events", RouteConfig)
    parts += _section("`routes.NAME.to[]`", To, "A sink's name, or a mapping:")
    parts += _section("`routes.NAME.dead_letter`", DeadLetter, "A sink's name, or a mapping:")
    for name in plugins.known("schemas"):
        parts += _section(f"`routes.NAME.schema` with `type: {name}`", plugins.load("schemas", name).Config)
    parts += _section("`sinks.NAME`: what every sink has", SinkConfig, "The lane before the sink, and what it gets.")
    for name in plugins.known("sinks"):
        config = plugins.load("sinks", name).Config
        aws = ", and all of `aws`" if issubclass(config, AwsConfig) else ""
        parts += _section(f"`sinks.NAME` with `type: {name}`", config, f"Beside what every sink has{aws}:", SinkConfig)
    return "\n".join(parts).rstrip() + "\n"


def _section(
    title: str, model: type[BaseModel], text: str = "", beside: type[BaseModel] | None = None
) -> Iterator[str]:
    """A heading and a table of the model's settings, without those that `beside` has with the same default."""
    yield f"## {title}\n"
    if text:
        yield f"{text}\n"
    known = dict(beside.model_fields) if beside else {}
    if beside is not None and issubclass(model, AwsConfig):
        known |= AwsConfig.model_fields
    if beside is SinkConfig or model is SchemaConfig:
        known.pop("type", None)
    rows = [
        f"| `{field.alias or name}` | {_kind(field)} | {_default(field)} | {field.description or ''} |"
        for name, field in model.model_fields.items()
        if name != "type" and not (name in known and known[name].default == field.default)
    ]
    if rows:
        yield "| key | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    else:
        yield "Nothing of its own.\n"


def _kind(field: FieldInfo) -> str:
    if any("parse_size" in repr(each) for each in field.metadata):
        return "size"
    if any("parse_duration" in repr(each) for each in field.metadata):
        return "duration"
    return _named(field.annotation).replace("|", "\\|")


def _named(annotation: Any) -> str:
    """A type in the words of YAML."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(_named(each) for each in arguments if each is not type(None))
    if origin is tuple or origin is list:
        return f"list of {_named(arguments[0])}"
    if origin is dict:
        return "mapping"
    if hasattr(annotation, "__metadata__"):
        if any("parse_size" in repr(each) for each in annotation.__metadata__):
            return "size"
        if any("parse_duration" in repr(each) for each in annotation.__metadata__):
            return "duration"
        return _named(annotation.__origin__)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " | ".join(f"`{each.value}`" for each in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    names = {str: "text", int: "integer", float: "number", bool: "true or false"}
    return names.get(annotation, "path" if "Path" in str(annotation) else "text")


def _default(field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined:
        return "required"
    if default is None or default == () or default == {}:
        return "-"
    kind = _kind(field)
    if kind == "size":
        return f"`{format_size(default)}`"
    if kind == "duration":
        return f"`{format_duration(default)}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`"


def effective(config: Config) -> str:
    """The configuration in effect, as YAML; secrets are masked."""

    def dumped(model: BaseModel) -> dict[str, Any]:
        return model.model_dump(mode="json", by_alias=True, exclude_none=True)

    tree: dict[str, Any] = {
        "server": dumped(config.server),
        "admin": dumped(config.admin),
        "aws": dumped(config.aws),
        "logs": dumped(config.logs),
        "sinks": {name: dumped(sink) for name, sink in config.sinks.items()},
        "routes": {name: dumped(route) for name, route in config.routes.items()},
    }
    if config.server.auth is not None and config.server.auth.anonymous:
        tree["server"]["auth"] = "none"
    for name, largest in config.max_event.items():
        tree["routes"][name]["max_event"] = format_size(largest)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=120)
