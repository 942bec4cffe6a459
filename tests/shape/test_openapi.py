"""`openapi.yaml` is what the application says of itself, is well-formed, and names every status and error it has."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.app import undriven
from service.errors import Code
from service.http.answer import Result, Status
from service.http.openapi import as_yaml

FILE = Path(__file__).parents[2] / "openapi.yaml"
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
SCHEMA_TYPES = {"object", "array", "string", "integer", "number", "boolean", "null"}


@pytest.fixture(scope="module", name="document")
def _document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and content of every operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Every schema anywhere below `node`, the nested ones too."""
    if isinstance(node, dict):
        if isinstance(found := node.get("schema"), dict):
            yield from nested(found)
        for value in node.values():
            yield from schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas(value)


def nested(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema, and those in it."""
    yield schema
    for key in ("items", "additionalProperties"):
        if isinstance(inner := schema.get(key), dict):
            yield from nested(inner)
    for inner in [*schema.get("properties", {}).values(), *schema.get("oneOf", []), *schema.get("anyOf", [])]:
        yield from nested(inner)


def test_the_file_is_what_the_application_says() -> None:
    assert FILE.read_text("utf-8") == as_yaml(undriven().api.openapi()), "run `make generated`"


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]
    assert set(document) <= {"openapi", "info", "paths", "components", "tags", "servers"}


def test_every_operation_is_named_once_and_answers(document: dict[str, Any]) -> None:
    found = list(operations(document))
    assert {method for _, method, _ in found} <= METHODS
    names = [operation["operationId"] for _, _, operation in found]
    assert len(set(names)) == len(names)
    for path, _, operation in found:
        assert re.fullmatch(r"[a-z]+", operation["operationId"])
        assert operation["summary"]
        assert operation["description"]
        assert len(operation["tags"]) == 1
        assert operation["responses"], path
        assert all(re.fullmatch(r"[1-5]\d\d", status) for status in operation["responses"])
        assert all(response["description"] for response in operation["responses"].values())
        assert all(parameter["description"] for parameter in operation.get("parameters", ()))


def test_every_body_and_every_answer_has_an_example_and_every_answer_the_id_of_its_request(
    document: dict[str, Any],
) -> None:
    for path, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if "$ref" in answer:
                continue
            assert "X-Request-Id" in answer["headers"], f"{path} {status}"
            for media in answer.get("content", {}).values():
                assert media.get("examples"), f"{path} {status}"
        for media in operation.get("requestBody", {}).get("content", {}).values():
            assert all(example.get("summary") for example in media["examples"].values())


def test_every_schema_of_a_name_is_described_and_used(document: dict[str, Any]) -> None:
    text = FILE.read_text("utf-8")
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
        assert f"'#/components/schemas/{name}'" in text, name


def test_the_codes_are_those_of_the_service(document: dict[str, Any]) -> None:
    assert document["components"]["schemas"]["ErrorCode"]["enum"] == [each.value for each in Code]


def test_every_parameter_of_a_path_is_declared_and_none_twice(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        parameters = [(each["in"], each["name"]) for each in operation.get("parameters", [])]
        assert len(set(parameters)) == len(parameters)
        assert {name for place, name in parameters if place == "path"} == set(re.findall(r"\{(\w+)\}", path))
        assert all(each["required"] for each in operation.get("parameters", []) if each["in"] == "path")
        assert all("schema" in each for each in operation.get("parameters", []))


def test_every_security_scheme_that_is_used_exists(document: dict[str, Any]) -> None:
    known = set(document["components"]["securitySchemes"])
    used = {name for _, _, each in operations(document) for either in each.get("security", []) for name in either}
    assert used
    assert used <= known


def test_every_schema_has_known_types_and_requires_what_it_has(document: dict[str, Any]) -> None:
    found = list(schemas(document["paths"]))
    for each in document["components"]["schemas"].values():
        found += nested(each)
    assert len(found) > 20
    for schema in found:
        types = schema.get("type", [])
        assert set([types] if isinstance(types, str) else types) <= SCHEMA_TYPES
        assert set(schema.get("required", [])) <= set(schema.get("properties", {}))


def test_the_ingest_operation_has_every_status_of_the_design(document: dict[str, Any]) -> None:
    responses = document["paths"]["/v1/{route}"]["post"]["responses"]
    ours = {"200", "202", "207", "400", "401", "403", "404", "408", "413", "415", "422", "429", "500", "503"}
    assert set(responses) == ours
    for status in ("207", "429", "503"):
        assert "Retry-After" in responses[status]["headers"]
    assert "WWW-Authenticate" in responses["401"]["headers"]


def test_a_result_has_the_members_that_are_described(document: dict[str, Any]) -> None:
    full = Result(0, "a", Status.FAILED, True, 503, True, {"a": Status.UNKNOWN}, {"code": "c"})
    assert set(document["components"]["schemas"]["Result"]["properties"]) == set(full.members())
