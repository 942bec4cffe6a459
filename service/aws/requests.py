"""Requests of many records whose body is written here and whose answer is read here, instead of by the SDK: that walks
its model for each field of each record, and holds four copies of the data while it does.

Everything else stays the SDK's: end points, signatures, credentials, connections, errors. Both happen in events that it
offers (https://docs.aws.amazon.com/boto3/latest/guide/events.html).
"""

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

import msgspec

encode = msgspec.json.Encoder().encode

_BODY: ContextVar[bytes | None] = ContextVar("_BODY", default=None)


class Operation:
    """One operation of a client, called with a body that is ready."""

    def __init__(self, client: Any, service: str, name: str, method: str, answer: type) -> None:
        """`service` and `name` as in the service's API (`kinesis`, `PutRecords`); `method` as the client names it.

        `answer` is the TypedDict of an answer. One that is not like it is left for the SDK to refuse.
        """
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(answer).decode
        self._method = getattr(client, method)
        client.meta.events.register(f"before-call.{service}.{name}", _replace_body)
        client.meta.events.register(f"before-parse.{service}.{name}", self._read)

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

    def _read(self, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
        if response_dict["status_code"] == 200:
            try:
                found = self._decode(response_dict["body"])
            except msgspec.MsgspecError:
                return
            customized_response_dict.update(found)
            response_dict["body"] = b"{}"


def _replace_body(params: dict[str, Any], **_: Any) -> None:
    if (body := _BODY.get()) is not None:
        params["body"] = body


def body_of(target: Mapping[str, str], records: Iterable[bytes]) -> bytes:
    """The JSON of a request: the stream that `target` names, and its `Records`, each in JSON already."""
    made = bytearray(encode(target))
    made[-1:] = b',"Records":['
    for record in records:
        made += record
        made += b","
    made[-1:] = b"]}"
    return bytes(made)  # what is sent is held until the answer comes: of a bytearray a second copy would be
