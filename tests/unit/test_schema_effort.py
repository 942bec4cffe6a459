"""The work that a schema makes is known before it is done, so that no event holds the loop up, whatever the schema."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.errors import ConfigError
from service.schemas.effort import LEVELS, Effort
from service.schemas.jsonschema import JsonSchema
from tests.unit.test_jsonschema import compiled, found

TREE: dict[str, Any] = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "anyOf": [
                {"type": "number"},
                {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2},
                {"type": "array", "items": {"$ref": "#/$defs/node"}, "minItems": 3},
            ]
        }
    },
}


def nested(depth: int, within: Any) -> Any:
    for _ in range(depth):
        within = [within]
    return within


def doubled(levels: int) -> dict[str, Any]:
    """A schema each part of which holds the next one twice, for the same value."""
    parts: dict[str, Any] = {f"p{n}": {"allOf": [{"$ref": f"#/$defs/p{n + 1}"}] * 2} for n in range(levels)}
    return {"$ref": "#/$defs/p0", "$defs": parts | {f"p{levels}": {"type": "object"}}}


@pytest.mark.parametrize(
    ("schema", "ways"),
    [
        (True, [1, 1, 1]),
        ({"type": "object"}, [1, 1, 1]),
        ({"properties": {"a": {}, "b": {"allOf": [{}, {}]}}}, [1, 4, 4]),
        ({"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}}, [1, 3, 5]),
        ({"items": {"$ref": "#"}, "contains": {"$ref": "#"}}, [1, 5, 13]),
        ({"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}, [3, 11, 27]),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, [3, 3, 3]),
        ({"$id": "http://x/y", "items": {"$ref": "y#z"}, "$defs": {"z": {"$anchor": "z", "not": {}}}}, [1, 4, 4]),
        ({"items": [{}, {"not": {}}], "additionalItems": {"if": {}, "then": {}}}, [1, 4, 4]),
        ({"patternProperties": {"a": {}, "b": {}}, "additionalProperties": {"not": {}}}, [1, 5, 5]),
    ],
)
def test_what_is_tried_on_a_way_is_counted(schema: Any, ways: list[int]) -> None:
    effort = Effort(schema)
    assert [effort.on_a_way(depth) for depth in range(3)] == ways


def test_a_tree_without_alternatives_costs_what_it_is_deep() -> None:
    effort = Effort({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}})
    assert effort.on_a_way(LEVELS) == 1 + 2 * LEVELS
    assert effort.on_a_way(LEVELS + 1) == float("inf"), "nobody has counted"


@pytest.mark.parametrize("depth", [14, 40, 64, 500])
@pytest.mark.parametrize("leaf", ["no number", {}])
def test_alternatives_within_alternatives_are_not_searched_for_hours(tmp_path: Path, depth: int, leaf: Any) -> None:
    schema = compiled(tmp_path, TREE)
    assert schema.violations(nested(depth, 1)) == []
    (violation,) = schema.violations(nested(depth, leaf))
    assert (violation.pointer, violation.keyword) == ("#", "schema")
    assert "send less" in violation.detail


def test_where_alternatives_are_few_they_are_told(tmp_path: Path) -> None:
    assert found(compiled(tmp_path, TREE), nested(2, "x")) == [("#", "anyOf")]


def test_large_data_under_alternatives_is_not_told_value_by_value(tmp_path: Path) -> None:
    schema = compiled(tmp_path, {"anyOf": [{"items": {"type": "string"}}, {"items": {"type": "integer"}}]})
    assert found(schema, [None] * 100) == [("#", "anyOf")]
    assert found(schema, [None] * 20_000) == [("#", "schema")]
    assert schema.violations(["x"] * 20_000) == []


def test_the_first_of_many_is_told_where_there_are_no_alternatives(tmp_path: Path) -> None:
    schema = compiled(tmp_path, {"allOf": [{"items": {"type": "string"}}, {"items": {"type": "integer"}}]})
    assert found(schema, [None] * 50_000) == [("#/0", "type")]


@pytest.mark.parametrize("levels", [17, 40, 200])
def test_a_schema_that_is_tried_without_end_at_one_value_is_a_mistake(tmp_path: Path, levels: int) -> None:
    with pytest.raises(ConfigError, match=r"100,000 of its parts hold for one and the same value"):
        compiled(tmp_path, doubled(levels))


def test_a_schema_of_many_parts_and_values_is_none(tmp_path: Path) -> None:
    properties = {f"p{n}": {"enum": [f"v{m}" for m in range(100)]} for n in range(300)}
    wide = {"allOf": [{"properties": properties}] * 20, "patternProperties": {f"^q{n}": {} for n in range(300)}}
    assert found(compiled(tmp_path, wide), {"p3": 1})[0] == ("#/p3", "enum")


def test_references_too_long_to_be_followed_are_a_mistake(tmp_path: Path) -> None:
    defs = {f"p{n}": {"$ref": f"#/$defs/p{n + 1}"} for n in range(3000)} | {"p3000": {}}
    file = tmp_path / "schema.json"
    file.write_text(json.dumps({"$ref": "#/$defs/p0", "$defs": defs}))
    with pytest.raises(ConfigError, match="too many steps long"):
        JsonSchema(JsonSchema.Config(type="jsonschema", file=file))
