"""The configuration in words: `docs/configuration.md` from the settings models, and the effective tree as YAML."""

import re
import types
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo

from service import plugins
from service.aws.settings import AwsConfig
from service.config.auth import (
    Auth,
    ClientCertificate,
    Issuer,
    mappings_in_words,
    none_in_words,
    open_in_words,
    texts_in_words,
)
from service.config.cloudwatch import CloudWatchConfig
from service.config.effective import Config
from service.config.quotas import PrincipalQuota, Quota, QuotasConfig
from service.config.settings import (
    AdminConfig,
    DeadLetter,
    JournalConfig,
    LogConfig,
    RouteConfig,
    ServerConfig,
    To,
    name_as_mapping,
)
from service.config.tls import TlsConfig
from service.config.tracing import TracingConfig
from service.kafka.security import Auth as KafkaAuth
from service.kafka.security import Iam, OAuthBearer, Plain, Scram, Tls, auth_in_words, tls_in_words
from service.receiving.contract import SourceConfig, codec_as_mapping
from service.receiving.dedupe import Dedupe
from service.sinks.contract import SinkConfig
from service.units import format_duration, format_size, parse_duration, parse_size

_USER_OF_URL = re.compile(r"(?<=://)[^/?#\s@]*@")
_READ_BY: dict[Callable[..., Any], str] = {
    parse_size: "size",
    parse_duration: "duration",
    none_in_words: "`none` or mapping",
    open_in_words: "`none`, or list of kinds",
    texts_in_words: "text or list of texts",
    mappings_in_words: "mapping or list of mappings",
    name_as_mapping: "name or mapping",
    auth_in_words: "`none`, `iam` or mapping",
    tls_in_words: "`true`, `false` or mapping",
    codec_as_mapping: "name or mapping",
}
"""What a value is, by the function that reads it."""

_KINDS: dict[Any, str] = {
    str: "text",
    SecretStr: "text, secret",
    int: "integer",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    datetime: "time with zone",
}
_PLURALS = {"text": "texts", "name or mapping": "names or mappings"}

_HEAD = """# Configuration

Written from the settings models by `make generated`; a test compares. `penstock check` lists every mistake at once,
each with its file, line, path and what is allowed; `penstock config` prints what is in effect, secrets masked.

- Found at `--config`, else in `PENSTOCK_CONFIG_YAML` (the text itself), at `PENSTOCK_CONFIG` or `./penstock.yaml`;
  without any, events go to files in `./penstock-data`.
- `${VAR}` (unset is a mistake), `${VAR:-default}`, `${VAR:?message}` and `$$` (a dollar) may stand in any value. Inside
  `{...}` and `[...]` quote the value: `{region: "${AWS_REGION}"}`.
- `PENSTOCK__SINKS__ORDERS__STREAM=orders` sets `sinks.orders.stream`; `[...]` and `{...}` are read as YAML. A variable
  that sets nothing is a mistake. Variables with one underscore, such as `PENSTOCK_PORT`, are not settings.
- Sizes: `512KiB`, `64MiB`, `1GB`. Durations: `100ms`, `20s`, `5m`, `1h`. Names of sinks and routes: `[a-z][a-z0-9_]*`.
- Relative paths start at the folder of the configuration file.
- Time-outs hang together: twice `call_timeout` is at most `patience`; `patience` and a second more at most
  `request_timeout`; then `load_balancer_idle`, then `keep_alive`, each longer than the one before it;
  `deregister_delay`, `drain_timeout` and 2s, and 2s more each with `cloudwatch` and with `tracing`, are together at
  most `grace`.
- A dead letter takes 4/3 of its event and 16KiB, and must fit its sink. No dead letter may come back to where it came
  from, over however many routes, and a sink of dead letters has no `fallback`.
"""


_QUOTAS = "Of each mapping one entry holds, the one of that name or else `*`. Workers divide the rates."


def reference() -> str:
    """The whole of `docs/configuration.md`."""
    parts = [_HEAD]
    parts += _section("`server`: the HTTP source", ServerConfig)
    parts += _section("`server.auth`", Auth, "`none`, or a mapping of what is taken:")
    parts += _section("`server.auth.jwt`: an issuer whose tokens are taken", Issuer)
    parts += _section("`server.auth.certificates[]`", ClientCertificate)
    parts += _section("`server.tls` and `admin.tls`", TlsConfig)
    parts += _section("`admin`: the admin port", AdminConfig)
    parts += _section("`aws`: for every sink of AWS, unless it says otherwise itself", AwsConfig)
    parts += _section("`cloudwatch`: metrics for CloudWatch", CloudWatchConfig, "Beside all of `aws`:", AwsConfig)
    parts += _section("`journal`: where events of routes with `ack: stored` are kept", JournalConfig)
    parts += _section("`logs`", LogConfig)
    parts += _section("`tracing`", TracingConfig)
    parts += _section("`quotas`: how much who may send over HTTP", QuotasConfig, _QUOTAS)
    parts += _section("`quotas.principals.NAME`", PrincipalQuota)
    parts += _section("`quotas.routes.NAME`, `quotas.principals.NAME.routes.NAME`", Quota)
    parts += _section("`routes.NAME`: a stream of events", RouteConfig)
    parts += _section("`routes.NAME.to[]`", To, "A sink's name, or a mapping:")
    parts += _section("`routes.NAME.dead_letter`", DeadLetter, "A sink's name, or a mapping:")
    for name in plugins.known("schemas"):
        parts += _section(f"`routes.NAME.schema` with `type: {name}`", plugins.load("schemas", name).Config)
    parts += _section("`sinks.NAME`: what every sink has", SinkConfig, "The lane before the sink, and what it gets.")
    for name in plugins.known("sinks"):
        config = plugins.load("sinks", name).Config
        aws = " and all of `aws`" if issubclass(config, AwsConfig) else ""
        parts += _section(f"`sinks.NAME` with `type: {name}`", config, f"Beside what every sink has{aws}:", SinkConfig)
    parts += _section("`sources.NAME`: what every source has", SourceConfig, "Where events come from, beside HTTP.")
    parts += _section("`sources.NAME.dedupe`", Dedupe)
    for name in plugins.known("sources"):
        config = plugins.load("sources", name).Config
        aws = " and all of `aws`" if issubclass(config, AwsConfig) else ""
        text = f"Beside what every source has{aws}:"
        parts += _section(f"`sources.NAME` with `type: {name}`", config, text, SourceConfig)
    parts += _kafka()
    return "\n".join(parts).rstrip() + "\n"


def _kafka() -> Iterator[str]:
    """What stands below `auth` and `tls` of whatever is a client of Kafka."""
    yield from _section("`auth` of Kafka", KafkaAuth, "`none`, `iam`, or a mapping with one of:")
    yield from _section("`auth.iam` of Kafka", Iam, "Tokens are signed with credentials from the SDK's own chain.")
    yield from _section("`auth.scram` of Kafka", Scram)
    yield from _section("`auth.plain` of Kafka", Plain)
    yield from _section("`auth.oauthbearer` of Kafka", OAuthBearer)
    yield from _section("`tls` of Kafka", Tls, "`true`, `false`, or a mapping:")


def _section(
    title: str, model: type[BaseModel], text: str = "", beside: type[BaseModel] | None = None
) -> Iterator[str]:
    """A heading and a table of the model's settings, without those that it has from `beside` or `aws` as they are."""
    known = dict(beside.model_fields) if beside else {}
    if beside is not None and issubclass(model, AwsConfig):
        known |= AwsConfig.model_fields
    fields = [
        (field.alias or name, field)
        for name, field in model.model_fields.items()
        if name != "type" and not (name in known and _row(name, known[name]) == _row(name, field))
    ]
    # what must be given first; what a plugin changes of the lane's settings last
    fields.sort(key=lambda each: (not each[1].is_required(), each[0] in known))
    yield f"## {title}\n"
    if text:
        yield f"{text}\n"
    rows = [_row(name, field) for name, field in fields]
    yield "| key | value | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    kind = _kind(field.annotation, field.metadata)
    return f"| `{name}` | {kind}{_bounds(field, kind)} | {_default(field, kind)} | {_cell(field.description or '')} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _kind(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """A type in the words of YAML."""
    for each in metadata:
        if isinstance(each, BeforeValidator) and each.func in _READ_BY:
            return _READ_BY[each.func]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0], arguments[1:])
    if origin is Literal:
        return " \\| ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(each) for each in arguments if each is not type(None))
    if origin in (tuple, list):
        return f"list of {_PLURALS.get(item := _kind(arguments[0]), item)}"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "mapping"
    return _KINDS[annotation]


def _bounds(field: FieldInfo, kind: str) -> str:
    """`, 1 to 1024` or `, at least 64KiB`, in the unit of the field itself; empty without bounds."""
    low = high = ""
    for each in field.metadata:
        match each:
            case Ge():
                low = f"at least {_written(each.ge, kind)}"
            case Gt():
                low = f"more than {_written(each.gt, kind)}"
            case Le():
                high = f"at most {_written(each.le, kind)}"
            case _:
                pass
    if low.startswith("at least") and high:
        if low.removeprefix("at least ") == high.removeprefix("at most "):
            return f", {high.removeprefix('at most ')}"
        return f", {low.removeprefix('at least ')} to {high.removeprefix('at most ')}"
    return "".join(f", {bound}" for bound in (low, high) if bound)


def _default(field: FieldInfo, kind: str) -> str:
    if field.is_required():
        return "required"
    if field.default is None or field.default == () or field.default == {}:
        return "-"
    if isinstance(field.default, tuple):
        return f"`[{', '.join(map(str, field.default))}]`"
    if isinstance(field.default, dict):
        return f"`{field.default['type']}`"
    return f"`{_written(field.default, kind)}`"


def _written(value: Any, kind: str) -> str:
    """A value as YAML has it."""
    if kind == _READ_BY[parse_size]:
        return format_size(value)
    if kind == _READ_BY[parse_duration]:
        return format_duration(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def effective(config: Config) -> str:
    """The configuration in effect, as YAML that can be read again; secrets are masked, paths are absolute.

    So is who a URL names before its host: settings of ours refuse that, a plugin's need not.
    """

    def dumped(model: BaseModel) -> dict[str, Any]:
        return model.model_dump(mode="json", by_alias=True, exclude_none=True)

    tree: dict[str, Any] = {
        "server": dumped(config.server),
        "admin": dumped(config.admin),
        "aws": dumped(config.aws),
        "cloudwatch": dumped(config.cloudwatch),
        "logs": dumped(config.logs),
        "tracing": dumped(config.tracing),
        "quotas": dumped(config.quotas),
        "sinks": {name: dumped(sink) for name, sink in config.sinks.items()},
        "routes": {name: dumped(route) for name, route in config.routes.items()},
    }
    if config.sources:
        tree["sources"] = {name: dumped(source) for name, source in config.sources.items()}
    for name, schema in config.schema_settings.items():
        tree["routes"][name]["schema"] = dumped(schema)
    if config.server.auth is not None and config.server.auth.anonymous:
        tree["server"]["auth"] = "none"
    for name, route in config.routes.items():
        if route.auth == ():
            tree["routes"][name]["auth"] = "none"
    for name, largest in config.max_event.items():
        tree["routes"][name]["max_event"] = format_size(largest)
    return yaml.safe_dump(_escaped(tree), sort_keys=False, allow_unicode=True, width=120)


def _escaped(value: Any) -> Any:
    """The tree with each dollar doubled, so that reading it replaces nothing, and users of URLs masked."""
    match value:
        case str():
            return _USER_OF_URL.sub("***@", value).replace("$", "$$")
        case dict():
            return {key: _escaped(each) for key, each in value.items()}
        case list():
            return [_escaped(each) for each in value]
        case _:
            return value
