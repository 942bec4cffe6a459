"""From a file and the environment to a checked Config; or a ConfigError with every mistake at once."""

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from service import plugins
from service.aws.settings import AwsConfig
from service.codecs.draft import Caps
from service.config import checks, quotas, receiving, ways
from service.config.auth import Auth
from service.config.effective import Config
from service.config.mistakes import sentence
from service.config.settings import RouteConfig, Tree
from service.config.tls import TlsConfig
from service.document import Document, Place, read
from service.envelopes.contract import Codec
from service.errors import ConfigError, SettingErrors
from service.receiving.contract import SourceConfig
from service.schemas.contract import Schema, SchemaConfig
from service.sinks.contract import Sink, SinkConfig

M = TypeVar("M", bound=BaseModel)

Inspection = Callable[[Auth | None, Mapping[str, RouteConfig]], object]
"""Opens what `server.auth` names, which is the business of an upper layer. Raises ConfigError."""

Examination = Callable[[TlsConfig], Mapping[str, str]]
"""Opens the files of a `tls`. Returns what of them is hardly meant, by setting. Raises SettingErrors."""

DEFAULT_FOLDER = "penstock-data"

_WITHOUT_CONFIGURATION: dict[str, Any] = {
    "sinks": {"data": {"type": "file", "path": DEFAULT_FOLDER}},
    "routes": {"default": {"types": ["*"], "to": ["data"]}},
}


def load(
    path: Path | None,
    environment: Mapping[str, str],
    *,
    printing: bool = False,
    inspect: Inspection | None = None,
    examine: Examination | None = None,
) -> Config:
    """The checked configuration of the file at `path` under the environment's overrides. None: of
    PENSTOCK_CONFIG_YAML, else the built-in one.

    `printing`: every sink becomes `stdout` (for `penstock dev`). Raises ConfigError listing every mistake, those that
    `inspect` and `examine` find among them.
    """
    document = read(path, environment, {} if path else deepcopy(_WITHOUT_CONFIGURATION))
    if printing:
        _print_all(document)
    unreadable = bool(document.mistakes) and not document.value
    origin = Path(document.origin) if document.origin else None
    config = None if unreadable else _Loader(document, origin).config(inspect, examine)
    if document.mistakes or config is None:
        raise ConfigError(list(dict.fromkeys(document.mistakes)))
    return config


def again(tree: Mapping[str, Any], origin: Path | None) -> Config:
    """The configuration that was loaded as `tree` from `origin`, in another process. Raises ConfigError."""
    document = Document(dict(tree), origin=str(origin) if origin else "")
    config = _Loader(document, origin).config(None)
    if document.mistakes or config is None:
        raise ConfigError(list(dict.fromkeys(document.mistakes)))
    return config


def _print_all(document: Document) -> None:
    """Put the terminal in each sink's place, and publish nothing. A lane keeps its settings: times hang together."""
    document.value.pop("cloudwatch", None)
    sinks, routes = document.value.get("sinks"), document.value.get("routes")
    if isinstance(sinks, dict):
        for name, raw in sinks.items():
            kept = {key: raw[key] for key in SinkConfig.model_fields if key in raw} if isinstance(raw, dict) else {}
            sinks[name] = kept | {"type": "stdout"}
    for route in routes.values() if isinstance(routes, dict) else ():
        if isinstance(route, dict):
            # the terminal takes other sizes than the sinks it stands for
            route.pop("max_event", None)


class _Loader:
    """Validates section by section, so that one mistake hides no other."""

    def __init__(self, document: Document, path: Path | None) -> None:
        self._document = document
        self._path = path
        self._context: dict[str, Any] = {"folder": path.parent if path else Path()}

    def config(self, inspect: Inspection | None, examine: Examination | None = None) -> Config | None:
        document = self._document
        settings, broken = self._settings()
        # for what acts in AWS without being a destination there
        self._context["aws"] = settings.aws.model_dump(exclude_unset=True)
        kinds, settings_of = self._sinks(document.value.get("sinks"), settings.aws)
        schemas, schema_settings = self._schemas(document.value.get("routes"))
        sources, codecs = self._sources(document.value.get("sources"), settings)
        if inspect is not None and not broken & {"server", "routes"}:
            self._inspect(inspect, settings)
        doubts = self._examine(examine, settings, broken) if examine is not None else ()
        if len(settings_of) == len(settings.sinks) and "server" not in broken:
            settings_of = checks.shared_memory(document, settings, settings_of)
        sinks: dict[str, Sink] = {name: kinds[name](name, sink) for name, sink in settings_of.items()}
        keyed = receiving.keyed(settings, sources)
        max_event = checks.everything(document, settings, broken, settings_of, sinks, keyed)
        if not {"quotas", "routes"} & broken:
            for place, mistake in quotas.mistakes(settings.quotas, settings.routes):
                document.add(("quotas", *place), mistake)
        receiving.everything(document, settings, sources, settings_of, sinks)
        if "aws" not in broken:
            checks.regions(document, "sources", sources)
        started = ways.started(settings.routes, settings_of, sources)
        return Config(
            server=settings.server,
            admin=settings.admin,
            aws=settings.aws,
            cloudwatch=settings.cloudwatch.within(settings.aws),
            journal=settings.journal,
            logs=settings.logs,
            tracing=settings.tracing,
            quotas=settings.quotas,
            sinks=settings_of,
            routes=settings.routes,
            sources=sources,
            codecs=codecs,
            started=started,
            max_event=max_event,
            schemas=schemas,
            schema_settings=schema_settings,
            origin=self._path,
            tree=document.value,
            warnings=(*checks.warnings(settings, started), *doubts),
        )

    def _settings(self) -> tuple[Tree, set[str]]:
        """What of the settings tree is sound, so that it can be checked further, and the sections that are not."""
        raw, broken = deepcopy(self._document.value), set[str]()
        while True:
            try:
                return Tree.model_validate(raw, context=self._context), broken
            except ValidationError as error:
                places = [tuple(detail["loc"]) for detail in error.errors(include_url=False)]
                if not broken:
                    self._note(Tree, (), error)
                broken |= {str(place[0]) for place in places}
                for place in places:
                    _prune(raw, place)

    def _sinks(self, raw_sinks: Any, aws: AwsConfig) -> tuple[dict[str, Any], dict[str, SinkConfig]]:
        """The class and the settings of each sink that has both."""
        defaults = aws.model_dump(exclude_unset=True)
        kinds: dict[str, Any] = {}
        settings: dict[str, SinkConfig] = {}
        for name, raw in (raw_sinks if isinstance(raw_sinks, dict) else {}).items():
            checks.check_name(self._document, ("sinks", name), name)
            found = self._plugin("sinks", raw, ("sinks", name), defaults)
            if found is not None:
                kinds[name], settings[name] = found
        return kinds, settings

    def _sources(self, raw_sources: Any, tree: Tree) -> tuple[dict[str, SourceConfig], dict[str, Codec]]:
        """The settings of each source, and its codec, where both are sound."""
        defaults = tree.aws.model_dump(exclude_unset=True)
        sources: dict[str, SourceConfig] = {}
        codecs: dict[str, Codec] = {}
        for name, raw in (raw_sources if isinstance(raw_sources, dict) else {}).items():
            checks.check_name(self._document, ("sources", name), name)
            found = self._plugin("sources", raw, ("sources", name), defaults)
            codec = found and self._plugin("envelopes", found[1].codec, ("sources", name, "codec"), {})
            if found is not None and codec is not None:
                sources[name] = source = found[1]
                kind, codec_settings = codec
                codecs[name] = kind(
                    codec_settings, Caps(source.max_message, tree.server.max_events, tree.server.max_nesting)
                )
        return sources, codecs

    def _schemas(self, routes: Any) -> tuple[dict[str, Schema], dict[str, SchemaConfig]]:
        """The compiled schema, and its settings, of each route whose schema compiles."""
        schemas: dict[str, Schema] = {}
        settings: dict[str, SchemaConfig] = {}
        for name, route in (routes if isinstance(routes, dict) else {}).items():
            raw = route.get("schema") if isinstance(route, dict) else None
            if raw is None:
                continue
            place: Place = ("routes", name, "schema")
            found = self._plugin("schemas", raw, place, {})
            if found is None:
                continue
            kind, settings[name] = found
            try:
                schemas[name] = kind(settings[name])
            except ConfigError as error:
                for mistake in error.mistakes:
                    self._document.add(place, mistake)
        return schemas, settings

    def _inspect(self, inspect: Inspection, settings: Tree) -> None:
        try:
            inspect(settings.server.auth, settings.routes)
        except ConfigError as error:
            for mistake in error.mistakes:
                self._document.add(("server", "auth"), mistake.removeprefix("server.auth."))

    def _examine(self, examine: Examination, settings: Tree, broken: Collection[str]) -> list[str]:
        """What is hardly meant of the certificates of both ports; mistakes are noted."""
        doubts: list[str] = []
        for section, tls in (("server", settings.server.tls), ("admin", settings.admin.tls)):
            if tls is None or section in broken:
                continue
            try:
                doubts += [f"{section}.tls.{setting}: {doubt}" for setting, doubt in examine(tls).items()]
            except SettingErrors as error:
                for below, mistake in error.mistakes.items():
                    self._document.add((section, "tls", *below), mistake)
        return doubts

    def _plugin(self, kind: plugins.Kind, raw: Any, place: Place, aws: Mapping[str, Any]) -> tuple[Any, Any] | None:
        """The plugin's class and its validated Config; None, with the mistake noted, if there is none."""
        if not isinstance(raw, dict):
            self._document.add(place, "must be a mapping with a `type`")
            return None
        if not isinstance(type_ := raw.get("type"), str):
            wrong = "is missing; known" if type_ is None else "must be text, one of"
            self._document.add((*place, "type"), f"{wrong}: {', '.join(plugins.known(kind))}")
            return None
        try:
            found = plugins.load(kind, type_)
        except ValueError as error:
            self._document.add((*place, "type"), str(error))
            return None
        if issubclass(found.Config, AwsConfig):
            raw = {**aws, **raw}
        config = self._validated(found.Config, raw, place)
        return None if config is None else (found, config)

    def _validated(self, model: type[M], raw: Any, place: Place) -> M | None:
        try:
            return model.model_validate(raw, context=self._context)
        except ValidationError as error:
            self._note(model, place, error)
            return None

    def _note(self, model: type[BaseModel], place: Place, error: ValidationError) -> None:
        details = error.errors(include_url=False, include_input=False)
        around = {tuple(each["loc"][:length]) for each in details for length in range(len(each["loc"]))}
        for detail in details:
            inner = tuple(detail["loc"])
            # a list is also counted without its wrong items: that is no mistake of its own
            if detail["type"] == "too_short" and inner in around:
                continue
            cause = detail.get("ctx", {}).get("error")
            if isinstance(cause, SettingErrors):
                for below, mistake in cause.mistakes.items():
                    self._document.add((*place, *inner, *below), mistake)
            else:
                self._document.add((*place, *inner), sentence(model, inner, dict(detail)))


def _prune(raw: dict[str, Any], place: Place) -> None:
    """Remove the setting at `place`; the nearest mapping around it, where it is none or others need it."""
    if place[0] == "routes" and len(place) > 2 and place[2] in ("to", "dead_letter"):
        place = place[:2]
    owner: Any = raw
    for depth, part in enumerate(place):
        below = owner.get(part)
        if (
            depth == len(place) - 1
            or not isinstance(below, dict)
            or (depth == len(place) - 2 and place[-1] not in below)
        ):
            owner.pop(part, None)
            return
        owner = below
