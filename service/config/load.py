"""From a file and the environment to a checked Config; or a ConfigError with every mistake at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from service import plugins
from service.aws.settings import AwsConfig
from service.config import checks
from service.config.file import Place, Tree, read
from service.config.settings import AdminConfig, LogConfig, RouteConfig, ServerConfig
from service.config.settings import Tree as SettingsTree
from service.errors import ConfigError
from service.schemas.contract import Schema
from service.sinks.contract import Sink, SinkConfig

M = TypeVar("M", bound=BaseModel)

DEFAULT_FILE = "penstock.yaml"
FILE_VARIABLE = "PENSTOCK_CONFIG"
DEFAULT_FOLDER = "penstock-data"

_WITHOUT_CONFIGURATION: dict[str, Any] = {
    "sinks": {"data": {"type": "file", "path": DEFAULT_FOLDER}},
    "routes": {"default": {"types": ["*"], "to": ["data"]}},
}


@dataclass(frozen=True)
class Config:
    """The effective configuration, checked."""

    server: ServerConfig
    admin: AdminConfig
    aws: AwsConfig
    logs: LogConfig
    sinks: Mapping[str, SinkConfig]
    routes: Mapping[str, RouteConfig]
    max_event: Mapping[str, int]
    """Most bytes of one event, by route."""
    schemas: Mapping[str, Schema]
    """The compiled schema of each route that has one."""
    origin: Path | None
    """The file; None when there was none."""
    warnings: tuple[str, ...] = ()
    """What is allowed, but hardly meant."""


def find(explicit: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The file to use: `explicit`, else PENSTOCK_CONFIG, else ./penstock.yaml if it exists, else None."""
    if explicit is not None:
        return explicit
    if named := environment.get(FILE_VARIABLE):
        return Path(named)
    default = Path(DEFAULT_FILE)
    return default if default.exists() else None


def load(path: Path | None, environment: Mapping[str, str], *, printing: bool = False) -> Config:
    """The checked configuration of the file at `path` (None: the built-in one) under the environment's overrides.

    `printing`: every sink becomes `stdout` (for `penstock dev`). Raises ConfigError listing every mistake.
    """
    tree = read(path, environment)
    if path is None:
        for section, content in _WITHOUT_CONFIGURATION.items():
            tree.value.setdefault(section, content)
    if printing:
        _print_all(tree)
    config = _Loader(tree, path).config()
    if tree.mistakes or config is None:
        raise ConfigError(tree.mistakes)
    return config


def _print_all(tree: Tree) -> None:
    sinks = tree.value.get("sinks")
    if isinstance(sinks, dict):
        tree.value["sinks"] = {name: {"type": "stdout"} for name in sinks}


class _Loader:
    """Validates section by section, so that one mistake hides no other."""

    def __init__(self, tree: Tree, path: Path | None) -> None:
        self._tree = tree
        self._path = path
        self._context = {"folder": path.parent if path else Path()}

    def config(self) -> Config | None:
        tree = self._tree
        settings = self._validated(SettingsTree, tree.value, ())
        raw_sinks, raw_aws = tree.value.get("sinks"), tree.value.get("aws")
        defaults = raw_aws if isinstance(raw_aws, dict) else {}
        kinds: dict[str, Any] = {}
        settings_of: dict[str, SinkConfig] = {}
        for name, raw in (raw_sinks if isinstance(raw_sinks, dict) else {}).items():
            checks.name(tree, ("sinks", name), name)
            found = self._plugin("sinks", raw, ("sinks", name), defaults)
            if found is not None:
                kinds[name], settings_of[name] = found
        schemas = self._schemas(tree.value.get("routes"))
        if settings is None:
            return None
        if len(settings_of) == len(settings.sinks):
            settings_of = checks.shared_memory(tree, settings, settings_of)
        sinks: dict[str, Sink] = {name: kinds[name](name, sink) for name, sink in settings_of.items()}
        max_event = checks.everything(tree, settings, settings_of, sinks)
        return Config(
            server=settings.server,
            admin=settings.admin,
            aws=settings.aws,
            logs=settings.logs,
            sinks=settings_of,
            routes=settings.routes,
            max_event=max_event,
            schemas=schemas,
            origin=self._path,
            warnings=tuple(checks.warnings(settings)),
        )

    def _schemas(self, routes: Any) -> dict[str, Schema]:
        schemas: dict[str, Schema] = {}
        for name, route in (routes if isinstance(routes, dict) else {}).items():
            raw = route.get("schema") if isinstance(route, dict) else None
            if raw is None:
                continue
            place: Place = ("routes", name, "schema")
            found = self._plugin("schemas", raw, place, {})
            if found is None:
                continue
            kind, config = found
            try:
                schemas[name] = kind(config)
            except ConfigError as error:
                for mistake in error.mistakes:
                    self._tree.add(place, mistake)
        return schemas

    def _plugin(self, kind: plugins.Kind, raw: Any, place: Place, aws: Mapping[str, Any]) -> tuple[Any, Any] | None:
        """The plugin's class and its validated Config; None, with the mistake noted, if there is none."""
        if not isinstance(raw, dict):
            self._tree.add(place, "must be a mapping with a `type`")
            return None
        if not isinstance(raw.get("type"), str):
            self._tree.add((*place, "type"), f"is missing; known: {', '.join(plugins.known(kind))}")
            return None
        try:
            found = plugins.load(kind, raw["type"])
        except ValueError as error:
            self._tree.add((*place, "type"), str(error))
            return None
        if issubclass(found.Config, AwsConfig):
            raw = {**aws, **raw}
        config = self._validated(found.Config, raw, place)
        return None if config is None else (found, config)

    def _validated(self, model: type[M], raw: Any, place: Place) -> M | None:
        try:
            return model.model_validate(raw, context=self._context)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                inner = tuple(detail["loc"])
                self._tree.add((*place, *inner), _sentence(model, inner, dict(detail)))
            return None


def _sentence(model: type[BaseModel], loc: Place, detail: dict[str, Any]) -> str:
    """What is wrong and what is allowed, from one of pydantic's errors."""
    match detail["type"]:
        case "extra_forbidden":
            allowed = _fields(model, loc[:-1])
            near = get_close_matches(str(loc[-1]), allowed, n=1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            return f"is not a setting; {hint}allowed here: {', '.join(allowed)}"
        case "missing":
            return "is missing"
        case "value_error":
            return str(detail["ctx"]["error"])
        case _:
            message = str(detail["msg"]).replace("Input should", "must")
            return message[:1].lower() + message[1:]


def _fields(model: type[BaseModel], loc: Place) -> list[str]:
    """Names of the settings at `loc` below `model`."""
    found: Any = model
    for part in loc:
        found = next((m for m in _models(found, part)), None)
        if found is None:
            return []
    return sorted(field.alias or name for name, field in found.model_fields.items())


def _models(model: type[BaseModel], part: str | int) -> list[Any]:
    """Models that may stand at `part` of `model`: the field's own, or those in its container or union."""
    if isinstance(part, int):
        return [model]
    field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
    if field is None:
        return [model]
    waiting, found = [field.annotation], []
    while waiting:
        each = waiting.pop()
        if isinstance(each, type) and issubclass(each, BaseModel):
            found.append(each)
        waiting += get_args(each)
    return found
