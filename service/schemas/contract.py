"""The schema contract: what every validator promises."""

from typing import Any, Protocol

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field

MAX_VIOLATIONS = 10


class Violation(Struct, frozen=True, gc=False):
    """One way in which data breaks a schema."""

    pointer: str
    """Where, as a URI fragment JSON Pointer into the data (RFC 6901 §6): `#/customer/id`, `#` for the whole."""
    keyword: str
    """The schema keyword that refused: `required`, `type`, ...; `schema` where that was not looked for."""
    detail: str
    """What was wrong and what is allowed. Never quotes more than 80 characters of the data."""


class SchemaConfig(BaseModel):
    """What every schema's `Config` has."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: str = Field(description="The plugin: a name such as `jsonschema`, or `package.module:Class`.")


class Schema(Protocol):
    """A compiled schema. The constructor takes `(config: Config)` and raises `ConfigError` if it cannot compile."""

    @property
    def Config(self) -> type[SchemaConfig]:  # noqa: N802 - a nested class, which mypy matches only with a property
        """The settings model of the plugin: a nested class."""

    def violations(self, data: Any) -> list[Violation]:
        """At most MAX_VIOLATIONS ways in which decoded JSON `data` breaks the schema; empty if it is valid."""
