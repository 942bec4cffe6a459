"""Requests of many records that are written, signed, sent and read here, as the SDK would, for a tenth of its cost.

How a target is asked is learnt from the SDK: it makes a request that is not sent, and requests are made after its
pattern (`pattern.py`) until the target or the credentials change. An answer that is no success, or has another shape,
is given to the SDK as if it had received it, so what it raises is its own. All that happens in events that it offers
(https://docs.aws.amazon.com/boto3/latest/guide/events.html). Where there is no pattern (a proxy, another signature),
and where an answer sends elsewhere, the SDK asks, with the body that is written here.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import msgspec
from aiobotocore.awsrequest import AioAWSResponse
from msgspec import Struct

from service.aws.connection import Answer
from service.aws.connections import Connections
from service.aws.pattern import Pattern
from service.errors import ConfigError

log = logging.getLogger(__name__)

encode = msgspec.json.Encoder().encode

_NOTHING = Answer(200, [], b"{}")


@dataclass(slots=True, repr=False)
class _Call:
    """One call on its way through the SDK, and what it met there: secrets, too."""

    target: Mapping[str, str]
    body: bytes
    answer: Answer | None = None
    """What the SDK is to take for the answer; None if it is to ask."""
    signer: Any = None
    credentials: Any = None
    request: Any = None
    connections: Any = None


_CALL: ContextVar[_Call | None] = ContextVar("_CALL", default=None)


@dataclass(frozen=True, slots=True, repr=False)
class _Way:
    """How one target is asked with one set of credentials."""

    target: Mapping[str, str]
    credentials: Any
    signer: Any
    connections: Connections
    pattern: Pattern | None
    """None if it is the SDK that asks."""


class Operation:
    """One operation of a client, called with a body that is ready."""

    def __init__(self, client: Any, service: str, name: str, method: str, answer: type) -> None:
        """`service` and `name` as in the service's API (`kinesis`, `PutRecords`); `method` as the client names it.

        `answer` is the TypedDict of an answer. One that is not like it is left for the SDK to refuse.
        Raises ConfigError if the SDK's model of the operation is not what is written here.
        """
        _check_model(client.meta.service_model, name)
        self._name = f"{service}.{name}"
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(answer).decode
        self._method = getattr(client, method)
        self._way: _Way | None = None
        events = client.meta.events
        events.register(f"before-call.{self._name}", _before_call)
        events.register(f"before-send.{self._name}", _before_send)
        events.register(f"before-parse.{self._name}", self._before_parse)
        events.register(f"needs-retry.{self._name}", _after_answer)

    async def __call__(self, body: bytes, **target: str) -> Mapping[str, Any]:
        """The answer to `body`. `target` is what end points are chosen by: the stream, as in the body.

        Raises what the SDK raises (`failures.AWS_ERRORS`).
        """
        way = self._way
        if way is None or way.target != target or way.credentials != await _credentials(way.signer):
            way = self._way = await self._learn(target)
        if way.pattern is None:
            return await self._by_the_sdk(_Call(target, body))
        answer = await way.connections.post(way.pattern.endpoint, way.pattern.head(body), body)
        if answer.status == 200:
            try:
                found: Mapping[str, Any] = self._decode(answer.body)
            except msgspec.MsgspecError:
                pass
            else:
                return found
        elif 300 < answer.status < 400:
            return await self._by_the_sdk(_Call(target, body))  # it knows where to go
        return await self._by_the_sdk(_Call(target, body, answer))

    async def _by_the_sdk(self, call: _Call) -> Mapping[str, Any]:
        mark = _CALL.set(call)
        try:
            answer: Mapping[str, Any] = await self._method(**call.target)
        finally:
            _CALL.reset(mark)
        return answer

    async def _learn(self, target: Mapping[str, str]) -> _Way:
        """The way to `target`, from a request that is not sent. Raises what the SDK raises before it sends one."""
        call = _Call(target, b"{}", _NOTHING)
        await self._by_the_sdk(call)
        pattern = None
        if not call.connections.proxied(call.request.url):
            pattern = Pattern.of(call.request, call.credentials)
            if pattern is None and call.credentials == await _credentials(call.signer):
                log.warning(
                    "the AWS SDK signs requests in another way than Penstock: calls go by the SDK and cost more CPU; "
                    "install the locked versions",
                    extra={"operation": self._name},
                )
        return _Way(target, call.credentials, call.signer, call.connections, pattern)

    def _before_parse(self, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
        if response_dict["status_code"] == 200:
            try:
                found = self._decode(response_dict["body"])
            except msgspec.MsgspecError:
                return
            customized_response_dict.update(found)
            response_dict["body"] = b"{}"


async def _credentials(signer: Any) -> Any:
    """The frozen credentials with which `signer` would sign now: refreshed if that is due, None if there are none.

    Raises what a provider of them raises.
    """
    signs = await signer.get_auth_instance("", "", "v4")  # service and region are nothing to them
    return signs.credentials


def _check_model(model: Any, name: str) -> None:
    operation = model.operation_model(name)
    spoken = (model.resolved_protocol, operation.http, operation.http_checksum, operation.request_compression)
    if spoken != ("json", {"method": "POST", "requestUri": "/"}, {}, None):
        raise ConfigError([f"the AWS SDK's {name} is not the JSON that Penstock writes: install the locked versions"])


async def _before_call(params: dict[str, Any], request_signer: Any, **_: Any) -> None:
    if (call := _CALL.get()) is not None:
        params["body"] = call.body
        call.signer = request_signer
        call.credentials = await _credentials(request_signer)


def _before_send(request: Any, **_: Any) -> AioAWSResponse | None:
    """The answer that is there already, so that the SDK does not send."""
    call = _CALL.get()
    if call is None:
        return None
    call.request = request
    if call.answer is None:
        return None
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in call.answer.headers}
    return AioAWSResponse(request.url, call.answer.status, headers, _Body(call.answer.body))


def _after_answer(endpoint: Any, **_: Any) -> None:
    if (call := _CALL.get()) is not None:
        call.connections = endpoint.http_session


class _Body(Struct, frozen=True):
    """A body that has been read, as the SDK reads one."""

    data: bytes

    async def read(self) -> bytes:
        """All of it."""
        return self.data


def body_of(target: Mapping[str, str], records: Iterable[bytes]) -> bytes:
    """The JSON of a request: the stream that `target` names, and its `Records`, each in JSON already."""
    return b"".join((encode(target)[:-1], b',"Records":[', b",".join(records), b"]}"))
