"""Which permissions a configuration needs, and which setting needs each."""

from collections.abc import Iterator, Mapping

from msgspec import Struct
from pydantic import BaseModel

from service.aws.permission import Key, Permission, Permitted, Resource
from service.config import Config
from service.receiving.contract import SourceConfig
from service.sinks.contract import SinkConfig


class Need(Struct, frozen=True):
    """One permission, and who needs it."""

    place: str
    """Such as `sinks.orders`."""
    permission: Permission

    @property
    def end(self) -> str:
        """The name of the sink or source: `orders`."""
        return self.place.partition(".")[2]


def needs(config: Config, doctor: bool = False) -> list[Need]:
    """Everything that the service needs with this configuration; `doctor`: also what `penstock doctor` alone does.

    Sinks that no route uses are not started, and need nothing.
    """
    rest = {name: getattr(config, name) for name in ("server", "admin", "cloudwatch", "journal", "logs", "tracing")}
    parts: dict[str, object] = {**_ends(config), **rest}
    found = [each for place, part in parts.items() for each in _asked(place, part)] + list(_keys(config))
    return [each for each in found if doctor or not each.permission.doctor]


def silent(config: Config) -> list[str]:
    """Sinks and sources of somebody else's that say nothing of permissions: whether they need any is not known."""
    return [place for place, end in _ends(config).items() if ":" in end.type and not end.permissions()]


def _ends(config: Config) -> dict[str, SinkConfig | SourceConfig]:
    """The sinks that are started, and the sources, by place."""
    sinks = {f"sinks.{name}": sink for name, sink in config.sinks.items() if name in config.started}
    return {**sinks, **{f"sources.{name}": source for name, source in config.sources.items()}}


def _keys(config: Config) -> Iterator[Need]:
    """The secret that has the keys of producers, if one is named: the service reads it, as `aws` says."""
    named = None if config.server.auth is None else config.server.auth.keys_secret
    if named is not None:
        asked = config.aws.permission(Resource.secret(named), "secretsmanager:GetSecretValue")
        yield Need("server.auth", asked)
        yield Need("server.auth", config.aws.permission(Key("secretsmanager"), "kms:Decrypt"))


def _asked(place: str, part: object) -> Iterator[Need]:
    """What a part of the settings needs. One that answers does so for everything below it."""
    if isinstance(part, BaseModel) and isinstance(part, Permitted):
        for permission in part.permissions():
            yield Need(place, permission)
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from _asked(f"{place}.{name}", getattr(part, name))
    elif isinstance(part, Mapping):
        for name, each in part.items():
            yield from _asked(f"{place}.{name}", each)
    elif isinstance(part, (tuple, list)):
        for number, each in enumerate(part):
            yield from _asked(f"{place}[{number}]", each)
