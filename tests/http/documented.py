"""openapi.yaml as a judge: whether an answer is one that it describes, and the requests that it has as examples."""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema_rs import Draft202012Validator

from tests.http.client import Answer, head

FILE = Path(__file__).parents[2] / "openapi.yaml"
_TRANSPORT = {"content-length", "content-type", "date", "connection"}
"""What HTTP itself has of every answer."""


@dataclass(frozen=True)
class Example:
    """A request in the document."""

    path: str
    method: str
    name: str
    content_type: str
    value: Any
    parameters: tuple[Mapping[str, Any], ...]

    @property
    def request(self) -> bytes:
        """Its bytes."""
        path, headers = self.path, {"Content-Type": self.content_type} if self.content_type else {}
        for parameter in self.parameters:
            given = parameter.get("examples", {}).get(self.name, {}).get("value", parameter.get("example"))
            if parameter["in"] == "path":
                path = path.replace("{" + parameter["name"] + "}", given or _first(parameter))
            elif given is not None:
                headers[parameter["name"]] = given
        body = self.value.encode() if isinstance(self.value, str) else json.dumps(self.value).encode()
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.compress(body)
        headers["Content-Length"] = str(len(body))
        return head(self.method.upper(), path, headers) + body


def _first(parameter: Mapping[str, Any]) -> str:
    return str(next(iter(parameter["examples"].values()))["value"])


class Document:
    """A description in OpenAPI 3.1."""

    def __init__(self, text: str) -> None:
        self.content: dict[str, Any] = yaml.safe_load(text)

    @classmethod
    def checked_in(cls) -> "Document":
        """The one of this repository."""
        return cls(FILE.read_text("utf-8"))

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Path, method and content of each."""
        for path, methods in self.content["paths"].items():
            for method, operation in methods.items():
                yield path, method, operation

    def examples(self) -> Iterator[Example]:
        """Every request; one that has no body is named after its headers' examples, or `plain`."""
        for path, method, operation in self.operations():
            parameters = tuple(operation.get("parameters", ()))
            for content_type, media in operation.get("requestBody", {}).get("content", {}).items():
                for name, example in media["examples"].items():
                    sent = "text/csv" if content_type == "*/*" else content_type
                    yield Example(path, method, name, sent, example["value"], parameters)
            if "requestBody" not in operation:
                names = {name for each in parameters for name in each.get("examples", {}) if each["in"] == "header"}
                for name in sorted(names) or ["plain"]:
                    yield Example(path, method, name, "", "", parameters)

    def answers(self, path: str, method: str) -> dict[int, dict[str, Any]]:
        """What an operation may answer, by status."""
        responses = self.content["paths"][path][method]["responses"]
        return {int(status): self.resolved(each) for status, each in responses.items()}

    def elsewhere(self, name: str) -> dict[str, Any]:
        """An answer to what is no operation."""
        found: dict[str, Any] = self.content["components"]["responses"][name]
        return found

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        """What a reference refers to; anything else as it is."""
        if "$ref" not in node:
            return node
        found: Any = self.content
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return self.resolved(found)

    def flaws(self, schema: dict[str, Any], value: Any) -> list[str]:
        """In what ways `value` is not as `schema` says."""
        validator = Draft202012Validator({**schema, "components": self.content["components"]})
        return [f"{list(error.instance_path)}: {error.message}" for error in validator.iter_errors(value)]

    def judge(self, answer: Answer, described: dict[str, Any]) -> None:
        """Assert that an answer is as it is described: headers, media type, body."""
        known = {name.lower(): self.resolved(each) for name, each in described.get("headers", {}).items()}
        assert answer.headers.keys() - _TRANSPORT <= known.keys(), answer
        for name, header in known.items():
            assert name in answer.headers or not header.get("required"), f"{name} is missing: {answer}"
            if name in answer.headers:
                text = answer.headers[name]
                given = int(text) if header["schema"].get("type") == "integer" else text
                assert not self.flaws(header["schema"], given), f"{name}: {text}"
        content = described.get("content", {})
        if not content:
            assert answer.body == b""
            return
        media = answer.headers["content-type"]
        assert media in content, answer
        assert not self.flaws(content[media]["schema"], answer.json), answer
        # either form is described where a status has both; each has its own media type all the same
        form = "Problem" if media == "application/problem+json" else "Results"
        if "Outcome" in content[media]["schema"].get("$ref", ""):
            assert not self.flaws({"$ref": f"#/components/schemas/{form}"}, answer.json), answer
