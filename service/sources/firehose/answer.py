"""Answers as Firehose demands them: JSON with the id of the request and the time, and words for what went wrong.

Firehose takes 200 alone for success. It drops what is answered 413, without a copy in its backup bucket, so nothing is:
what could be taken with other settings, or by hand, must not be lost. Everything else is sent again for as long as the
stream retries, and then goes to its backup bucket.
"""

import math
import time
from collections.abc import Mapping

import orjson
from starlette.responses import Response

from service.errors import IngestError, TooLarge, TooMany, Unavailable
from service.http.unread import EarlyResponse, Incoming
from service.sources.firehose.head import REQUEST_ID

MOST_MESSAGE = 8192
"""Characters of `errorMessage`: Firehose's bound."""
_JSON = "application/json"
_TOO_LARGE = 400


def plain_request_id(headers: Mapping[str, str]) -> str:
    """The id that Firehose gave the request; empty if it is not a plain one."""
    text = headers.get("x-amz-firehose-request-id", "")
    return text if REQUEST_ID.fullmatch(text) else ""


def answered(headers: Mapping[str, str]) -> Response:
    """All of the request is safe."""
    return Response(_body(headers), 200, media_type=_JSON)


def refused(headers: Mapping[str, str], error: IngestError, incoming: Incoming, close: bool) -> Response:
    """It is not, and is to come again. `close`: the connection ends with the answer."""
    more: dict[str, str] = {}
    if isinstance(error, Unavailable | TooMany):
        more["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if close:
        more["Connection"] = "close"
    status, detail = error.status, error.detail
    if isinstance(error, TooLarge):
        status, detail = _TOO_LARGE, f"{detail}; lower the stream's buffer size, or raise max_body of the source"
    body = _body(headers, detail)
    if incoming.ended:
        return Response(body, status, more, _JSON)
    return EarlyResponse(incoming, body, status, more, _JSON)


def _body(headers: Mapping[str, str], trouble: str | None = None) -> bytes:
    found: dict[str, str | int] = {
        "requestId": plain_request_id(headers),
        "timestamp": time.time_ns() // 1_000_000,
    }
    if trouble is not None:
        found["errorMessage"] = trouble[:MOST_MESSAGE]
    return orjson.dumps(found)
