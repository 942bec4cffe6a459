"""JSON Schema: drafts, references, patterns, and what a refusal says."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.json import loads
from service.errors import ConfigError
from service.schemas.contract import MAX_VIOLATIONS
from service.schemas.jsonschema import JsonSchema


def compiled(folder: Path, schema: Any) -> JsonSchema:
    file = folder / "schema.json"
    file.write_bytes(schema if isinstance(schema, bytes) else json.dumps(schema).encode())
    return JsonSchema(JsonSchema.Config(type="jsonschema", file=file))


def unusable(folder: Path, schema: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        compiled(folder, schema)
    (mistake,) = caught.value.mistakes
    assert mistake.startswith(f"{folder / 'schema.json'}: ")
    return mistake


def found(schema: JsonSchema, data: Any) -> list[tuple[str, str]]:
    return [(violation.pointer, violation.keyword) for violation in schema.violations(data)]


@pytest.mark.parametrize(
    ("draft", "schema", "good", "bad"),
    [
        (None, {"prefixItems": [{"type": "string"}]}, ["a"], [1]),
        ("https://json-schema.org/draft/2020-12/schema", {"dependentRequired": {"a": ["b"]}}, {}, {"a": 1}),
        ("https://json-schema.org/draft/2019-09/schema", {"items": [{"type": "string"}]}, ["a"], [1]),
        ("http://json-schema.org/draft-07/schema#", {"if": {"type": "string"}, "then": {"minLength": 1}}, 1, ""),
        ("http://json-schema.org/draft-06/schema#", {"exclusiveMinimum": 1}, 2, 1),
        ("http://json-schema.org/draft-04/schema#", {"minimum": 1, "exclusiveMinimum": True}, 2, 1),
        ("http://json-schema.org/draft-04/schema", {"type": "integer"}, 2, 1.5),
    ],
)
def test_each_draft_means_what_it_means(tmp_path: Path, draft: str | None, schema: Any, good: Any, bad: Any) -> None:
    validator = compiled(tmp_path, schema | ({"$schema": draft} if draft else {}))
    assert validator.violations(good) == []
    assert validator.violations(bad)


@pytest.mark.parametrize(
    "draft",
    ["http://json-schema.org/draft-03/schema#", "https://example.com/schema", "http://json-schema.org/schema#", "", 7],
)
def test_an_unknown_draft_is_a_mistake_that_names_the_known_ones(tmp_path: Path, draft: Any) -> None:
    mistake = unusable(tmp_path, {"$schema": draft})
    assert f"$schema is {str(draft)!r}" in mistake
    assert "https://json-schema.org/draft/2020-12/schema" in mistake


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
@pytest.mark.parametrize("base", [{}, {"$id": "https://example.com/order.json"}])
def test_no_reference_leaves_the_file(tmp_path: Path, keyword: str, base: dict[str, str]) -> None:
    other = tmp_path / "other.json"
    other.write_text("true")
    for target in (
        "http://127.0.0.1:9/a.json",
        "https://example.com/a.json",
        other.as_uri(),
        "other.json",
        "#/$defs/no",
    ):
        mistake = unusable(tmp_path, base | {"properties": {"a": {keyword: target}}})
        assert "reaches only inside this file: put what it needs under $defs" in mistake


def test_a_reference_inside_the_file_is_followed_also_when_it_recurs(tmp_path: Path) -> None:
    validator = compiled(
        tmp_path, {"$ref": "#/$defs/n", "$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}}
    )
    assert validator.violations(loads(b"[" * 500 + b"]" * 500, 500)) == []
    assert found(validator, [[[1]]]) == [("#/0/0/0", "type")]


@pytest.mark.parametrize(
    "draft", ["http://json-schema.org/draft-04/schema#", "https://json-schema.org/draft/2020-12/schema"]
)
@pytest.mark.parametrize("pattern", ["(?=a)b", "(?!a)b", "(?<=a)b", "(?<!a)b", r"(a)\1", "(a{1000}){1000}{100}", "["])
def test_a_pattern_that_is_not_linear_is_a_mistake_that_says_so(tmp_path: Path, draft: str, pattern: str) -> None:
    schemas: list[dict[str, Any]] = [{"properties": {"a": {"pattern": pattern}}}, {"patternProperties": {pattern: {}}}]
    for schema in schemas:
        mistake = unusable(tmp_path, {"$schema": draft, **schema})
        assert repr(pattern) in mistake
        assert "look-around" in mistake
        assert "back-references" in mistake


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(.*a){20}$"])
def test_a_pattern_that_would_run_for_ever_elsewhere_ends_here(tmp_path: Path, pattern: str) -> None:
    validator = compiled(tmp_path, {"pattern": pattern})
    assert found(validator, "a" * 100_000 + "!") == [("#", "pattern")]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("otherwise", "expected"),
    [(None, [("#/default", "maxLength")]), ({"type": "null"}, [("#", "schema")]), ({"type": "string"}, [])],
)
def test_a_pattern_is_not_tried_on_text_that_is_longer_than_it_may_be(
    tmp_path: Path, order: int, otherwise: dict[str, str] | None, expected: list[tuple[str, str]]
) -> None:
    # on so much text this pattern alone would take minutes, longer than a test may
    bounded = dict([("maxLength", 1000), ("pattern", "(a{1,1000}){1,9}b")][::order])
    schema = {"properties": {"default": {"anyOf": [bounded, otherwise]} if otherwise else bounded}}
    assert found(compiled(tmp_path, schema), {"default": "a" * 1_000_000}) == expected


def test_of_text_under_large_patterns_all_violations_are_listed_as_long_as_it_is_short(tmp_path: Path) -> None:
    schema = compiled(tmp_path, {"properties": {"a": {"pattern": "^b{1000}$"}, "c": {"type": "integer"}}})
    assert found(schema, {"a": "a" * 900, "c": "1"}) == [("#/a", "pattern"), ("#/c", "type")]
    assert len(found(schema, {"a": "a" * 1100, "c": "1"})) == 1
    schema = compiled(tmp_path, {"properties": {"a": {"pattern": "^[0-9]{4}$"}, "c": {"anyOf": [{"type": "null"}]}}})
    assert len(found(schema, {"a": "a" * 50_000, "c": "1"})) == 2


@pytest.mark.parametrize("name", ["default", "examples", "const", "enum"])
def test_a_property_may_be_called_as_a_keyword_is(tmp_path: Path, name: str) -> None:
    schema = compiled(
        tmp_path, {"properties": {name: {"$ref": f"#/$defs/{name}"}}, "$defs": {name: {"type": "integer"}}}
    )
    assert found(schema, {name: 1}) == []
    assert found(schema, {name: "1"}) == [(f"#/{name}", "type")]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"properties": {"a": {"type": "strin"}}}, "#/properties/a/type: "),
        ({"minimum": "1"}, "#/minimum: "),
        (b"{", "is not JSON"),
        (b'{"a": "\xff"}', "is not JSON"),
        (b"", "is not JSON"),
        (b"[" * 100_000, "nests too deep"),
        (b'{"properties": {"a": {}, "b": {}, "a": {}}}', "the key 'a' stands twice"),
        (b"[]", "no usable JSON Schema"),
        (b"5", "no usable JSON Schema"),
    ],
)
def test_what_is_no_schema_is_a_mistake_with_its_place(tmp_path: Path, schema: Any, words: str) -> None:
    mistake = unusable(tmp_path, schema)
    assert words in mistake
    assert len(mistake) < 1000


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.json: cannot be read: No such file"):
        JsonSchema(JsonSchema.Config(type="jsonschema", file=tmp_path / "nothing.json"))


@pytest.mark.parametrize(
    "draft", ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"]
)
@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("date-time", "2026-01-31T12:00:00Z", "2026-02-30T12:00:00Z"),
        ("email", "a@example.com", "a"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("uri", "https://example.com", "example"),
    ],
)
def test_formats_are_asserted(tmp_path: Path, draft: str, format: str, good: str, bad: str) -> None:
    validator = compiled(tmp_path, {"$schema": draft, "format": format})
    assert validator.violations(good) == []
    assert found(validator, bad) == [("#", "format")]


def test_a_format_that_no_draft_defines_says_nothing(tmp_path: Path) -> None:
    assert compiled(tmp_path, {"format": "int64"}).violations("x") == []


def test_a_violation_has_its_pointer_keyword_and_words(tmp_path: Path) -> None:
    validator = compiled(
        tmp_path,
        {
            "type": "object",
            "required": ["a/b~c"],
            "properties": {
                "customer": {"properties": {"id": {"type": "string"}}},
                "items": {"items": {"properties": {"qty": {"minimum": 0}}}},
                "currency": {"enum": ["EUR", "USD"]},
                "never": False,
            },
            "additionalProperties": False,
        },
    )
    data = {"customer": {"id": 5}, "items": [{}, {"qty": -1}], "currency": "GBP", "never": 1, "m~n/o": 1}
    details = {v.pointer + " " + v.keyword: v.detail for v in validator.violations(data)}
    assert details == {
        "# required": '"a/b~c" is a required property',
        "#/customer/id type": '5 is not of type "string"',
        "#/items/1/qty minimum": "-1 is less than the minimum of 0",
        "#/currency enum": '"GBP" is not one of "EUR" or "USD"',
        "#/never false": "False schema does not allow 1",
        "# additionalProperties": 'unexpected: "m~n/o"',
    }
    escaped = compiled(tmp_path, {"properties": {"m~n/o": {"type": "string"}}})
    assert found(escaped, {"m~n/o": 1}) == [("#/m~0n~1o", "type")]


def test_at_most_ten_violations_are_listed(tmp_path: Path) -> None:
    validator = compiled(tmp_path, {"items": {"type": "string"}})
    assert found(validator, list(range(50))) == [(f"#/{index}", "type") for index in range(MAX_VIOLATIONS)]


def test_of_data_with_thousands_of_values_the_first_violation_is_listed(tmp_path: Path) -> None:
    validator = compiled(tmp_path, {"properties": {"a": {"items": {"type": "string"}}}})
    assert found(validator, {"a": list(range(300_000))}) == [("#/a/0", "type")]
    assert validator.violations({"a": ["x"] * 300_000}) == []


SCHEMAS: dict[str, Any] = {
    "type": {"type": "null"},
    "enum": {"enum": [1]},
    "const": {"const": 1},
    "not": {"not": {}},
    "false": False,
    "anyOf": {"anyOf": [{"type": "null"}, {"const": 1}]},
    "oneOf": {"oneOf": [{"type": "null"}, {"const": 1}]},
    "length": {"type": "string", "minLength": 10**6},
    "pattern": {"type": "string", "pattern": "^$"},
    "format": {"type": "string", "format": "date"},
    "contains": {"type": "array", "contains": {"const": 1}},
    "unique": {"type": "array", "uniqueItems": True, "maxItems": 0},
    "items": {"type": "array", "prefixItems": [{}], "items": False},
    "unevaluatedItems": {"type": "array", "unevaluatedItems": False},
    "additionalItems": {
        "$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": [{}], "additionalItems": False,
    },
    "properties": {"type": "object", "additionalProperties": False},
    "unevaluatedProperties": {"type": "object", "unevaluatedProperties": False, "maxProperties": 0},
    "names": {"type": "object", "propertyNames": {"maxLength": 1, "pattern": "^$"}},
    "multiple": {"type": "number", "multipleOf": 10**9},
}  # fmt: skip
LONG = "0123456789" * 100
HOSTILE: list[Any] = [
    LONG,
    [LONG, LONG],
    [[LONG]],
    {LONG: LONG},
    {"a": {LONG: 1}},
    {LONG + str(n): n for n in range(20)},
    {"\ud7ff\\\"" * 200: 1},
    1.7976931348623157e308,
    None,
    [None] * 100,
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_no_detail_quotes_more_than_80_characters_of_the_data(tmp_path: Path, schema: Any) -> None:
    validator = compiled(tmp_path, schema)
    refused = [violation for data in HOSTILE for violation in validator.violations(data)]
    assert refused
    for violation in refused:
        assert violation.keyword
        assert "\ue000" not in violation.detail
        assert sum(map(str.isdigit, violation.detail)) <= 80 or "1.7976931348623157e+308" in violation.detail
        assert len(violation.detail) <= 400
        assert len(violation.pointer) <= 520


@pytest.fixture(scope="module")
def null_schema(tmp_path_factory: pytest.TempPathFactory) -> JsonSchema:
    return compiled(tmp_path_factory.mktemp("schema"), {"type": "null"})


@given(text=st.text('ab"\\\ue000é', min_size=61, max_size=200))
def test_a_long_string_is_quoted_by_its_beginning_and_length(null_schema: JsonSchema, text: str) -> None:
    (violation,) = null_schema.violations(text)
    assert (
        violation.detail
        == f'{json.dumps(text[:40], ensure_ascii=False)}... ({len(text)} characters) is not of type "null"'
    )


def test_numbers_are_validated_as_they_are_read(tmp_path: Path) -> None:
    validator = compiled(tmp_path, {"type": "integer"})
    for number in (b"9223372036854775808", b"18446744073709551616", b"1" + b"0" * 300, b"-9223372036854775809", b"1.0"):
        assert validator.violations(loads(number, 1)) == []
    assert found(validator, loads(b"1.5", 1)) == [("#", "type")]


def test_an_event_without_data_is_validated_as_null(tmp_path: Path) -> None:
    assert found(compiled(tmp_path, {"type": "object"}), None) == [("#", "type")]
    assert compiled(tmp_path, True).violations(None) == []
