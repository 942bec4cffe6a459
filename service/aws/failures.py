"""What went wrong with a call to AWS, as an outcome: every code and exception of the SDK has its reason here.

Promises that trouble of the destination is always a `Retry`, and that no detail holds a payload or a secret.
"""

import socket
import time
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from service.aws.codes import reason_of
from service.aws.connections import NotConnectedError
from service.outcome import Reason, Retry

AWS_ERRORS = (
    sdk.BotoCoreError,
    sdk.ClientError,
    ResponseParserError,
    aiohttp.ClientError,
    OSError,
    # what botocore's parser raises over an answer that is no JSON object, or not UTF-8 (a proxy's page)
    AttributeError,
    TypeError,
    ValueError,
)
"""What a call of the SDK may raise. Catch them around nothing but the call itself."""

_CREDENTIALS = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.MetadataRetrievalError,
    sdk.TokenRetrievalError,
    sdk.NoAuthTokenError,
    sdk.UnauthorizedSSOTokenError,
    sdk.SSOError,
    sdk.LoginError,
    sdk.InvalidConfigError,
    sdk.ConfigNotFound,
    sdk.ProfileNotFound,
    sdk.UnknownCredentialError,
    sdk.RefreshWithMFAUnsupportedError,
    sdk.InfiniteLoopConfigError,
)
_UNREACHABLE = (
    NotConnectedError,
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    socket.gaierror,
    ConnectionRefusedError,
)
_MESSAGE = frozenset({Reason.ACCESS_DENIED, Reason.NOT_FOUND, Reason.ENCRYPTION})
"""Whose messages name actions and resources. Others may quote the request: its payload, or its session token."""
_MESSAGE_CHARACTERS = 300


def retry_for(error: Exception) -> Retry:
    """Why the call that raised `error` (one of `AWS_ERRORS`) did not deliver."""
    match error:
        case sdk.ClientError():
            return _refused(error)
        case sdk.ConnectTimeoutError() | sdk.ProxyConnectionError() | sdk.SSLError():
            return Retry(Reason.UNREACHABLE, detail=_told(error))
        case sdk.ReadTimeoutError():
            return Retry(Reason.TIMEOUT, detail=_told(error))
        case sdk.ConnectionClosedError():
            return Retry(Reason.CONNECTION_LOST, detail=_told(error))
        case sdk.HTTPClientError() | sdk.ConnectionError():
            # EndpointConnectionError among them: aiobotocore raises it for a reset after sending, too
            return Retry(_of_transport(error.kwargs.get("error")), detail=_told(error))
        case _ if isinstance(error, _CREDENTIALS):
            return Retry(Reason.CREDENTIALS, detail=f"no credentials: {type(error).__name__}")
        case sdk.BotoCoreError():
            return Retry(Reason.MISCONFIGURED, detail=f"the SDK refused the call: {type(error).__name__}")
        case aiohttp.ClientError() | ConnectionError() | TimeoutError() | socket.gaierror():
            return Retry(_of_transport(error), detail=type(error).__name__)
        case OSError():
            # the SDK reads nothing but token and credential files while it makes a call
            return Retry(Reason.CREDENTIALS, detail=f"no credentials: {type(error).__name__}")
        case _:
            return Retry(Reason.BAD_ANSWER, detail=f"an answer that cannot be read: {type(error).__name__}")


def _of_transport(cause: object) -> Reason:
    """Whether a connection was never made, so that nothing was sent, or was lost."""
    if isinstance(cause, _UNREACHABLE):
        return Reason.UNREACHABLE
    return Reason.TIMEOUT if isinstance(cause, TimeoutError) else Reason.CONNECTION_LOST


def _told(error: sdk.BotoCoreError) -> str:
    """The transport's own words name hosts and errors, never what was sent."""
    cause = error.kwargs.get("error")
    where = error.kwargs.get("endpoint_url") or error.kwargs.get("proxy_url") or "the endpoint"
    told = f"{type(error).__name__} at {where}"
    return f"{told}: {type(cause).__name__}" if cause is not None else told


def _refused(error: sdk.ClientError) -> Retry:
    answer: dict[str, Any] = error.response
    told = answer.get("Error", {})
    metadata = answer.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode") or 0
    code = str(told.get("Code") or status)
    reason = reason_of(code, status)
    if error.operation_name.startswith("AssumeRole"):
        # not the destination refused, but the way to a role for it
        reason = Reason.CREDENTIALS if reason is not Reason.THROTTLED else reason
        code = f"{error.operation_name}: {code}"
    detail = f"{code} (HTTP {status}"
    if request := metadata.get("RequestId"):
        detail += f", request {request}"
    detail += ")"
    if reason in _MESSAGE or (reason is Reason.CREDENTIALS and error.operation_name.startswith("AssumeRole")):
        detail += f": {str(told.get('Message', ''))[:_MESSAGE_CHARACTERS]}"
    return Retry(reason, after=_retry_after(metadata.get("HTTPHeaders", {})), detail=detail)


def _retry_after(headers: dict[str, str]) -> float | None:
    """Seconds from a Retry-After header in either form (RFC 9110 §10.2.3); None if there is none that can be read."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
