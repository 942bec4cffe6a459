"""JSON Schema, compiled at start: draft 2020-12, or what the schema's `$schema` declares."""

import json
from itertools import islice
from typing import Any

import jsonschema_rs
from pydantic import Field

from service.codecs.pointer import fragment
from service.errors import ConfigError
from service.schemas.contract import MAX_VIOLATIONS, SchemaConfig, Violation
from service.units import ConfigPath

_DRAFTS = (
    "http://json-schema.org/draft-04/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)
_MOST_QUOTED = 60
"""Most characters of data in a detail, before quotation marks."""
_MOST_DETAIL = 400
_VALUE = "\ue000"
"""Stands for the data in the library's messages, which would quote it whole."""
_MOST_LISTED = 2000
"""Most values in data whose violations are all listed: the library finds every one before it gives the first,
10 us each (2-core Xeon), and none may hold up the event loop."""


class JsonSchema:
    """A compiled JSON Schema. `format` is asserted, in every draft; formats that the drafts do not define say nothing.

    `$ref` reaches only inside the schema's own file. Patterns run on a linear-time engine (no back-references or
    look-around), so that no event can make one run for ever. Numbers are what `codecs.json` reads: an integer
    beyond 64 bits is a double, and still an integer to `type`. An event without data is validated as null.
    """

    class Config(SchemaConfig):
        """Settings of a JSON Schema."""

        file: ConfigPath = Field(description="The schema, a JSON file; relative to the configuration file.")

    def __init__(self, config: Config) -> None:
        """Raises ConfigError, with the file and the reason, if the schema cannot be compiled."""
        try:
            schema = json.loads(config.file.read_bytes(), object_pairs_hook=_unique)
            _demand_known_draft(schema)
        except OSError as error:
            raise ConfigError([f"{config.file}: cannot be read: {error.strerror}"]) from None
        except RecursionError:
            raise ConfigError([f"{config.file}: nests too deep to be read"]) from None
        except _Unusable as error:
            raise ConfigError([f"{config.file}: {error}"]) from None
        except ValueError as error:
            raise ConfigError([f"{config.file}: is not JSON in UTF-8: {error}"]) from None
        try:
            self._validator = jsonschema_rs.validator_for(
                schema,
                validate_formats=True,
                retriever=_no_retrieval,
                pattern_options=jsonschema_rs.RegexOptions(),
                mask=_VALUE,
            )
        except jsonschema_rs.ValidationError as error:
            raise ConfigError([f"{config.file}: is no usable JSON Schema: {_why_unusable(error)}"]) from None
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise ConfigError([f"{config.file}: is no usable JSON Schema: {str(error)[:_MOST_DETAIL]}"]) from None

    def violations(self, data: Any) -> list[Violation]:
        """At most MAX_VIOLATIONS ways in which decoded JSON `data` breaks the schema; empty if it is valid.

        Of data with more than 2,000 values only the first violation is listed.
        """
        if self._validator.is_valid(data):
            return []
        if _has_more_values(data, _MOST_LISTED):
            try:
                self._validator.validate(data)
            except jsonschema_rs.ValidationError as first:
                return [_violation(first)]
        return [_violation(error) for error in islice(self._validator.iter_errors(data), MAX_VIOLATIONS)]


class _Unusable(Exception):
    """The file is JSON, and yet no schema."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _Unusable(f"the key {repeated!r} stands twice in one object; remove one")
    return members


def _demand_known_draft(schema: Any) -> None:
    declared = schema.get("$schema") if isinstance(schema, dict) else None
    if declared is None:
        return
    if not isinstance(declared, str) or declared.removesuffix("#") not in _DRAFTS:
        raise _Unusable(f"$schema is {str(declared)[:200]!r}; known: {', '.join(_DRAFTS)}")


def _no_retrieval(uri: str) -> Any:
    raise ValueError(f"{uri} is not retrieved")


def _why_unusable(error: jsonschema_rs.ValidationError) -> str:
    """The reason, with its place in the schema and what to do."""
    place = fragment(error.instance_path)
    kind = error.kind
    if kind.name == "format" and kind.as_dict().get("format") == "regex":
        return (
            f"{place}: the pattern {str(error.instance)[:200]!r} cannot be compiled; patterns run in linear time, so "
            "look-around ((?=, (?!, (?<) and back-references (\\1) are not available, nor very large repetitions"
        )
    message = error.message[:_MOST_DETAIL]
    if kind.name == "$ref":
        return (
            f"{place}: a $ref leads nowhere: {message}; it reaches only inside this file: put what it needs under $defs"
        )
    return f"{place}: {message}"


def _has_more_values(data: Any, most: int) -> bool:
    """Whether `data` holds more than `most` values, without visiting many more."""
    pending, count = [data], 0
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            count += len(value)
            pending.extend(value.values())
        elif isinstance(value, list):
            count += len(value)
            pending.extend(value)
        if count > most:
            return True
    return False


def _violation(error: jsonschema_rs.ValidationError) -> Violation:
    if error.kind.name == "falseSchema":
        keyword = "false"
    else:
        keyword = next((part for part in reversed(error.schema_path) if isinstance(part, str)), "")
    return Violation(fragment(error.instance_path), keyword, _detail(error)[:_MOST_DETAIL])


def _detail(error: jsonschema_rs.ValidationError) -> str:
    """The library's message, with no more than _MOST_QUOTED characters of the data in it."""
    members = error.kind.as_dict()
    match error.kind.name:
        case "additionalProperties" | "unevaluatedProperties":
            return f"unexpected: {_listed(members['unexpected'])}"
        case "propertyNames":
            return f"a property's name: {_detail(members['error'])}"
        case _:
            return str(error.message).replace(_VALUE, _quoted(error.instance), 1)


def _listed(names: list[str]) -> str:
    """The first of `names`, as many as fit."""
    text = ""
    for index, name in enumerate(names):
        shown = _quoted(name)
        if index and len(text) + len(shown) > _MOST_QUOTED:
            return f"{text} and {len(names) - index} more"
        text += f", {shown}" if index else shown
    return text


def _quoted(value: Any) -> str:
    match value:
        case dict():
            return f"an object of {len(value)} members"
        case list():
            return f"an array of {len(value)} items"
        case str() if len(value) > _MOST_QUOTED:
            return json.dumps(value[: _MOST_QUOTED - 20], ensure_ascii=False) + f"... ({len(value)} characters)"
        case _:
            return json.dumps(value, ensure_ascii=False)
