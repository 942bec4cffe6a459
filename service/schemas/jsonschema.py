"""JSON Schema, compiled at start: draft 2020-12, or what the schema's `$schema` declares."""

import json
from typing import Any

import jsonschema_rs
from pydantic import Field

from service.codecs.pointer import fragment
from service.errors import ConfigError
from service.schemas.contract import MAX_VIOLATIONS, SchemaConfig, Violation
from service.units import ConfigPath

_MOST_QUOTED = 80


class JsonSchema:
    """A compiled JSON Schema. `format` is asserted; `$ref` reaches only inside the schema itself.

    Patterns run on a linear-time engine (no back-references or look-around), so that no event can make
    one run for ever.
    """

    class Config(SchemaConfig):
        """Settings of a JSON Schema."""

        file: ConfigPath = Field(description="The schema, a JSON file; relative to the configuration file.")

    def __init__(self, config: Config) -> None:
        """Raises ConfigError, with the file and the reason, if the schema cannot be compiled."""
        try:
            schema = json.loads(config.file.read_text())
        except OSError as error:
            raise ConfigError([f"{config.file}: cannot be read: {error.strerror}"]) from None
        except ValueError as error:
            raise ConfigError([f"{config.file}: is not JSON: {error}"]) from None
        try:
            self._validator = jsonschema_rs.validator_for(
                schema,
                validate_formats=True,
                retriever=_no_retrieval,
                pattern_options=jsonschema_rs.RegexOptions(),
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise ConfigError([f"{config.file}: is no usable JSON Schema: {_plain(error)}"]) from None

    def violations(self, data: Any) -> list[Violation]:
        """At most MAX_VIOLATIONS ways in which decoded JSON `data` breaks the schema; empty if it is valid."""
        if self._validator.is_valid(data):
            return []
        found = []
        for error in self._validator.iter_errors(data):
            keyword = next((str(part) for part in reversed(error.schema_path) if isinstance(part, str)), "")
            found.append(Violation(fragment(list(error.instance_path)), keyword, _bounded(error)))
            if len(found) == MAX_VIOLATIONS:
                break
        return found


def _no_retrieval(uri: str) -> Any:
    raise ValueError(f"$ref to {uri} is outside the schema; put it under $defs")


def _plain(error: Exception) -> str:
    return str(getattr(error, "message", None) or error).strip().splitlines()[0][:300]


def _bounded(error: Any) -> str:
    """The message, without more than _MOST_QUOTED characters of the data."""
    quoted = error.message
    if len(quoted) <= _MOST_QUOTED:
        return str(quoted)
    return str(error.verbose_message if False else quoted[: _MOST_QUOTED // 2] + " ... " + quoted[-_MOST_QUOTED // 2 :])
