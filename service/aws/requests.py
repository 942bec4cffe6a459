"""Requests of many records whose body is written here instead of by the SDK, which walks its model for each field of
each record and holds four copies of the data while it does.

Everything else stays the SDK's: end points, signatures, credentials, connections, errors.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

_BODY: ContextVar[bytes | None] = ContextVar("_BODY", default=None)


class Operation:
    """One operation of a client, called with a body that is ready."""

    def __init__(self, client: Any, service: str, name: str, method: str) -> None:
        """`service` and `name` as in the service's API (`kinesis`, `PutRecords`); `method` as the client names it."""
        # an event of the SDK's own, made to change what is about to be signed and sent:
        # https://docs.aws.amazon.com/boto3/latest/guide/events.html
        client.meta.events.register(f"before-call.{service}.{name}", _replace_body)
        self._method = getattr(client, method)

    async def __call__(self, body: bytes, **target: str) -> Mapping[str, Any]:
        """The answer to `body`. `target` is what end points are chosen by: the stream, as in the body.

        Raises what the SDK raises (`failures.AWS_ERRORS`).
        """
        mark = _BODY.set(body)
        try:
            answer: Mapping[str, Any] = await self._method(**target)
        finally:
            _BODY.reset(mark)
        return answer


def _replace_body(params: dict[str, Any], **_: Any) -> None:
    if (body := _BODY.get()) is not None:
        params["body"] = body
