"""What the API's own description says of the endpoint of a firehose source.

A running service describes those that it has, by their names; `openapi.yaml` describes the one that they all are like.
Shapes and bounds: Amazon Data Firehose, "Understand HTTP endpoint delivery request and response specifications".
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import FastAPI, Path, Response

from service.http.answer import JSON
from service.http.description.headers import headers
from service.http.description.schemas import ref
from service.sources.firehose.head import REQUEST_ID, VERSION

_ID: Final = "2c1d4a6e-6d0b-4b0e-9a55-3b5e4b0d5f11"
_PLAIN: Final = {"type": "string", "pattern": f"^{REQUEST_ID.pattern}$"}
_NOW: Final = 1_772_357_400_000

_REQUEST: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Records of one delivery.",
    "required": ["requestId", "records"],
    "properties": {
        "requestId": {"type": "string", "description": "As in the header."},
        "timestamp": {"type": "integer", "description": "Milliseconds since 1970."},
        "records": {
            "type": "array",
            "items": ref("FirehoseRecord"),
        },
    },
}
_ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Whether the delivery is safe as a whole.",
    "required": ["requestId", "timestamp"],
    "properties": {
        "requestId": {"type": "string", "description": "Of the request; empty if it is not a plain one."},
        "timestamp": {"type": "integer", "description": "Milliseconds since 1970."},
        "errorMessage": {"type": "string", "maxLength": 8192, "description": "Why it is not."},
    },
}

_RECORD: Final[dict[str, Any]] = {
    "type": "object",
    "description": "One record of the stream.",
    "required": ["data"],
    "properties": {"data": {"type": "string", "description": "Base64 of a message, of the source's codec."}},
}
SCHEMAS: Final = {"FirehoseRequest": _REQUEST, "FirehoseRecord": _RECORD, "FirehoseAnswer": _ANSWER}


def _header(name: str, description: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": schema, **more}


def _answer(description: str, *more: str, trouble: str | None = None) -> dict[str, Any]:
    value = {"requestId": _ID, "timestamp": _NOW} | ({} if trouble is None else {"errorMessage": trouble})
    content = {JSON: {"schema": ref("FirehoseAnswer"), "examples": {"delivery": {"value": value}}}}
    return {"description": description, "headers": headers(*more), "content": content}


OPERATION: Final[dict[str, Any]] = {
    "summary": "Take a delivery of Amazon Data Firehose",
    "description": "For streams whose destination is this endpoint. It speaks Firehose's protocol, and is there if a "
    "`firehose` source is configured. Firehose sends again what is not answered 200, as a whole.",
    "tags": ["sources"],
    "response_class": Response,
    "responses": {
        200: _answer("Every record is safe: delivered, stored, or among the dead letters."),
        400: _answer("It cannot be read, or is too large.", trouble="X-Amz-Firehose-Request-Id: is missing"),
        401: _answer("There is no access key.", trouble="X-Amz-Firehose-Access-Key is missing"),
        403: _answer("The access key is not known.", trouble="X-Amz-Firehose-Access-Key is none of the endpoint's"),
        404: {"$ref": "#/components/responses/UnknownPath", "description": "There is no such source."},
        408: _answer("The body did not arrive in time.", trouble="the body did not arrive within 15 s"),
        415: _answer("It is not JSON, or compressed by other means than gzip.", trouble="Content-Type: must be JSON"),
        500: _answer("A defect of the service.", trouble="a defect of the service"),
        503: _answer("Not safe yet, or no room.", "Retry-After", trouble="this replica is shutting down"),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "description": "As Firehose sends it; may be compressed.",
            "content": {
                JSON: {
                    "schema": ref("FirehoseRequest"),
                    "examples": {
                        "delivery": {
                            "summary": 'One record, `{"order":"o-1","customer":{"id":"c-7"}}`.',
                            "value": {
                                "requestId": _ID,
                                "timestamp": _NOW,
                                "records": [{"data": "eyJvcmRlciI6Im8tMSIsImN1c3RvbWVyIjp7ImlkIjoiYy03In19"}],
                            },
                        }
                    },
                }
            },
        },
        "parameters": [
            _header(
                "X-Amz-Firehose-Protocol-Version",
                "The version of the protocol.",
                {"type": "string", "enum": [VERSION]},
                required=True,
                example=VERSION,
            ),
            _header("X-Amz-Firehose-Request-Id", "The same for every attempt.", _PLAIN, required=True, example=_ID),
            _header(
                "X-Amz-Firehose-Common-Attributes",
                "JSON: headers of every record.",
                {"type": "string"},
                example='{"commonAttributes":{"content-type":"application/json"}}',
            ),
            _header("X-Amz-Firehose-Source-Arn", "The stream.", {"type": "string"}),
        ],
        "security": [{}, {"firehoseKey": []}],
    },
}


def describe(api: FastAPI, path: str, endpoint: Callable[..., Awaitable[Response]], operation_id: str) -> None:
    """Add the endpoint to the application and to its description."""
    api.state.schemas |= SCHEMAS
    api.add_api_route(path, endpoint, methods=["POST"], operation_id=operation_id, **OPERATION)


def describe_any(api: FastAPI) -> None:
    """Let the description have the endpoint of any source."""

    async def delivery(source: Annotated[str, Path(description="Name of the source.")]) -> Response:
        raise NotImplementedError(source)

    describe(api, "/firehose/{source}", delivery, operation_id="firehose")
