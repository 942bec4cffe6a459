"""JSON Schema, compiled at start: draft 2020-12, or what the schema's `$schema` declares."""

import json
from itertools import islice
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
from pydantic import Field

from service.codecs.pointer import fragment
from service.errors import ConfigError
from service.schemas.contract import MAX_VIOLATIONS, SchemaConfig, Violation
from service.schemas.effort import Effort
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
"""Most values in data whose violations are all listed."""
_MOST_TRIED = 20_000
"""Most parts of a schema that are tried for the sake of all violations: the library finds every one before it gives the
first, 10 to 20 us each (2-core Xeon), and none may hold up the event loop. Within alternatives it always does so."""
_MOST_PASSED = 2_000_000
"""Most that are passed on the way to the first violation, without alternatives: 0.3 us each."""
_MOST_MATCHED = 1_000_000
"""Most characters of data times the size of the largest pattern for the sake of all violations: then each pattern is
tried, also on text that is longer than its `maxLength`, at up to 25 ns a step. Else that is found before it."""
_MOST_AT_ONE_VALUE = 100_000
"""Most that a schema may have tried at one value: it is no mistake of an event, and so one at start."""
_UNSEARCHED: Final = Violation(
    "#",
    "schema",
    "breaks the schema; it is too large, or nests too deep, for alternatives or patterns to say where: send less",
)


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
        self._effort = _effort(schema, config.file)

    def violations(self, data: Any) -> list[Violation]:
        """At most MAX_VIOLATIONS ways in which decoded JSON `data` breaks the schema; empty if it is valid.

        Of large data, or of long text under large patterns, only the first violation is listed; where finding that
        could take long, it is only said that the data breaks the schema.
        """
        if self._validator.is_valid(data):
            return []
        values, depth, characters = _extent(data, _MOST_PASSED)
        tried = values * self._effort.on_a_way(depth)
        matched = characters * self._effort.largest_pattern
        if tried <= _MOST_TRIED and values <= _MOST_LISTED and matched <= _MOST_MATCHED:
            listed = [_violation(error) for error in islice(self._validator.iter_errors(data), MAX_VIOLATIONS)]
            return listed or [_UNSEARCHED]
        # of what fails under alternatives the library finds all
        within = tried <= _MOST_TRIED and matched <= _MOST_MATCHED if self._effort.collects else tried <= _MOST_PASSED
        if within:
            try:
                self._validator.validate(data)
            except jsonschema_rs.ValidationError as first:
                return [_violation(first)]
        return [_UNSEARCHED]


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


def _effort(schema: Any, file: Path) -> Effort:
    """The work that `schema` makes. Raises ConfigError if that is too much for any data."""
    try:
        effort = Effort(schema)
    except RecursionError:
        raise ConfigError([f"{file}: its references are too many steps long to be followed"]) from None
    if effort.on_a_way(0) > _MOST_AT_ONE_VALUE:
        why = "because references lead to the same parts again and again; refer to each once"
        raise ConfigError(
            [f"{file}: more than {_MOST_AT_ONE_VALUE:,} of its parts hold for one and the same value, {why}"]
        )
    return effort


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


def _extent(data: Any, most: int) -> tuple[int, int, int]:
    """How many values `data` holds, how many steps lead to the deepest, and how many characters are in texts and names;
    not much beyond `most` values."""
    level, count, depth, characters = [data], 0, -1, 0
    while level and count <= most:
        count += len(level)
        depth += 1
        within: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                within += value.values()
                characters += sum(map(len, value))
            elif isinstance(value, list):
                within += value
            elif isinstance(value, str):
                characters += len(value)
        level = within
    return count, depth, characters


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
