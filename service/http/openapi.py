"""What the API says of itself: each operation, and the document of all; `openapi.yaml` is written from it."""

from collections.abc import Iterable
from typing import Any

import yaml
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.http.description import answers, bodies, parameters
from service.http.description.answers import ELSEWHERE, health
from service.http.description.headers import HEADERS
from service.http.description.schemas import SCHEMAS

DESCRIPTION = """Takes events, validates each one, fans it out, and says of every single event what became of it.

**200 says that every event is delivered, 202 that every event is delivered or stored; no other answer says that all are
safe.** 207 is not a success: read `results`.
Retry what has `retryable: true`, after `Retry-After`; keep the event's id, so that consumers can drop duplicates.

Other paths are answered 404 (`UnknownPath`), other methods 405 (`MethodNotAllowed`); what is no HTTP/1.1, or has a head
beyond 32 KiB or 100 headers, 400.
"""

INGEST_PATH = "/v1/{route}"
INGEST: dict[str, Any] = {
    "operation_id": "ingest",
    "summary": "Send one event or many",
    "description": "Each event is answered for, in the order of the request.",
    "tags": ["events"],
    "responses": answers.INGEST,
    "openapi_extra": {
        "requestBody": bodies.BODY,
        "parameters": parameters.PARAMETERS,
        "security": [{}, {"key": []}, {"apiKey": []}, {"jwt": []}, {"certificate": []}],
    },
}

PREFLIGHT: dict[str, Any] = {
    "operation_id": "preflight",
    "summary": "Ask whether a web page may send",
    "description": "What browsers ask before a page sends JSON (Fetch standard). Needs no credentials.",
    "tags": ["events"],
    "status_code": 204,
    "responses": answers.PREFLIGHT,
    "openapi_extra": {"parameters": parameters.PREFLIGHT},
}

LIVEZ: dict[str, Any] = {
    "operation_id": "livez",
    "summary": "Whether the process lives",
    "description": "Never depends on a destination.",
    "tags": ["health"],
    "responses": {200: health("alive", "It does.")},
}

READYZ: dict[str, Any] = {
    "operation_id": "readyz",
    "summary": "Whether this replica should get requests",
    "description": "The status alone; the admin port tells the reasons too.",
    "tags": ["health"],
    "responses": {
        200: health("ready", "It should: ready, or degraded."),
        503: health("draining", "Not now: starting, draining, or in trouble that other replicas do not share."),
    },
}

SECURITY: dict[str, Any] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "NAME.SECRET",
        "description": "An API key, where the service has keys.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The same, in its own header."},
    "jwt": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of an issuer that the service trusts.",
    },
    "firehoseKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Amz-Firehose-Access-Key",
        "description": "The access key of the stream's destination.",
    },
    "certificate": {"type": "mutualTLS", "description": "A client's certificate, where the port asks for one."},
}

TAGS: list[dict[str, Any]] = [
    {"name": "events", "description": "Events, and what became of them."},
    {"name": "sources", "description": "What is called by others than producers."},
    {"name": "health", "description": "Whether the process lives, and should get requests."},
]


def described(api: FastAPI) -> dict[str, Any]:
    """The application's own description, with what FastAPI cannot know of it."""
    if api.openapi_schema is None:
        content = get_openapi(
            title=api.title,
            version=api.version,
            description=api.description,
            routes=api.routes,
            servers=[{"url": "/", "description": "Wherever the service runs."}],
            tags=TAGS,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        )
        content["components"] = {
            "schemas": {**SCHEMAS, **api.state.schemas},
            "headers": HEADERS,
            "responses": ELSEWHERE,
            "securitySchemes": SECURITY,
        }
        for item in content["paths"].values():
            _names(item)
        # FastAPI leaves out members that are null, also those of examples
        content["paths"][INGEST_PATH]["post"]["responses"] = {str(each): said for each, said in answers.INGEST.items()}
        api.openapi_schema = content
    return api.openapi_schema


def _names(item: dict[str, Any]) -> None:
    """Say of names in paths what FastAPI does not: what it looks like, and examples. FastAPI checks nothing itself."""
    for operation in item.values():
        if "HTTPValidationError" in str(operation["responses"].get("422")):
            del operation["responses"]["422"]
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                parameter["schema"] = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}
                parameter.setdefault("examples", {"name": {"value": "lake"}})
            if parameter["name"] == "route":
                parameter["examples"] = {name: {"value": value} for name, value in parameters.ROUTES.items()}


def with_bodies(document: dict[str, Any], media_types: Iterable[str]) -> dict[str, Any]:
    """The document with these bodies of requests alone: most generators of clients make one of them for all."""
    kept = set(media_types)
    paths = {}
    for path, item in document["paths"].items():
        paths[path] = dict(item)
        for method, operation in item.items():
            if "requestBody" in operation:
                body = operation["requestBody"]
                content = {media: each for media, each in body["content"].items() if media in kept}
                paths[path][method] = {**operation, "requestBody": {**body, "content": content}}
    return {**document, "paths": paths}


def as_yaml(document: dict[str, Any]) -> str:
    """The text of `openapi.yaml`."""
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


class _Plain(yaml.SafeDumper):
    """Writes what stands there twice twice, for not every reader knows YAML's aliases; texts of lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if text.count("\n") > 2 else None)


_Plain.add_representer(str, _text)
