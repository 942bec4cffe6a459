"""Schemas and data, both made up: a schema compiles or is a mistake; data keeps it or breaks it in few, short words."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from service.codecs.json import loads
from service.errors import ConfigError, InvalidEvent
from service.schemas.contract import MAX_VIOLATIONS
from service.schemas.jsonschema import JsonSchema


def run(data: bytes) -> None:
    """A schema, a zero byte, data."""
    schema, _, value = data.partition(b"\0")
    with TemporaryDirectory() as folder:
        file = Path(folder, "schema.json")
        file.write_bytes(schema)
        try:
            compiled = JsonSchema(JsonSchema.Config(type="jsonschema", file=file))
        except ConfigError as error:
            assert all(len(mistake) < 1500 for mistake in error.mistakes)
            return
    try:
        decoded = loads(value, 64)
    except InvalidEvent:
        decoded = None
    found = compiled.violations(decoded)
    assert len(found) <= MAX_VIOLATIONS
    for each in found:
        assert len(each.detail) <= 400
        assert len(each.pointer) <= 520
        json.dumps([each.pointer, each.detail, each.keyword]).encode()
