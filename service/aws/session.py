"""The process's one AWS session and the clients made from it.

Nothing here needs the network before the first call: credentials are found, and a role is assumed, when a
request is first signed, so a destination or a metadata service that is down at start is no reason not to start.
"""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any
from urllib.request import getproxies

from aiobotocore.config import AioConfig
from aiobotocore.credentials import (
    AioAssumeRoleCredentialFetcher,
    AioCredentials,
    AioDeferredRefreshableCredentials,
    create_credential_resolver,
)
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.utils import get_environ_proxies

from service import __version__
from service.aws.connections import Connections
from service.aws.settings import AwsConfig, AwsIdentity
from service.errors import ConfigError

_CONNECT_SECONDS = 2.0
_KEEPALIVE_SECONDS = 12
"""Below the idle time-outs of the services' own front ends."""
_STS_SECONDS = 5.0
_SPARE_CONNECTIONS = 2
"""Beside the calls in flight: for probes and look-ups."""


@asynccontextmanager
async def client(service: str, config: AwsConfig, *, concurrency: int, call_timeout: float) -> AsyncIterator[Any]:
    """An aiobotocore client of `service`, for `concurrency` calls in flight of at most `call_timeout` seconds.

    It never repeats a call: that is the lane's business. Raises ConfigError if there is no region, or if the SDK
    cannot use the settings or its own environment.
    """
    options = AioConfig(
        max_pool_connections=concurrency + _SPARE_CONNECTIONS,
        connect_timeout=min(_CONNECT_SECONDS, call_timeout / 2),
        # shorter than the lane's patience with a call, so that it is the SDK that says what timed out
        read_timeout=call_timeout * 0.95,
        parameter_validation=False,
        # who has large requests compresses them in a thread: the SDK would do it on the event loop
        disable_request_compression=True,
        retries={"total_max_attempts": 1, "mode": "standard"},
        connector_args={
            "keepalive_timeout": _KEEPALIVE_SECONDS,
            "socket_factory": partial(_socket, round(call_timeout * 1000)),
        },
        user_agent_extra=f"penstock/{__version__}",
        http_session_cls=Connections,
    )
    region = region_of(config)
    try:
        session = _session_of(config.role_arn, config.external_id, region) if config.role_arn else _session()
        made = await session.create_client(
            service, region_name=region, endpoint_url=config.endpoint_url, config=options
        ).__aenter__()
    except (BotoCoreError, ValueError) as error:
        raise ConfigError([f"{service}: the AWS SDK cannot be used as configured: {error}"]) from error
    try:
        yield made
    finally:
        await made.__aexit__(None, None, None)


def _socket(milliseconds: int, address: tuple[Any, ...]) -> socket.socket:
    """A socket that ends once what was written to it has waited for so long for the network to take it.

    aiohttp closes the connection of a call that was given up, but closing waits until what was written is sent, and
    nobody ends that wait if the other side takes nothing: each such call would keep its request for ever
    (https://github.com/aio-libs/aiohttp/issues/6762 is one shape of it).
    """
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    if sys.platform == "linux":
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return made


def proxied(service: str, config: AwsConfig) -> bool:
    """Whether the environment sends calls to `service` by way of a proxy. Then the SDK makes all of each call, which
    holds more memory (`requests.py`)."""
    return bool(getproxies() and get_environ_proxies(config.endpoint_url or f"https://{_host(service, config)}"))


def _host(service: str, config: AwsConfig) -> str:
    """The host of `service` in the region of its client; without a region where `region_of` will raise."""
    try:
        region = config.named_region() or _region_of_environment()
    except BotoCoreError:
        region = None
    name = f"{service}.{region}" if region else service
    return f"{name}.amazonaws.com.cn" if region and region.startswith("cn-") else f"{name}.amazonaws.com"


def region_of(config: AwsIdentity) -> str:
    """The region of a client. Raises ConfigError if there is none, or if the SDK cannot use its own files."""
    try:
        _session().get_scoped_config()  # of the profile in AWS_PROFILE, which must exist
        region = config.named_region() or _region_of_environment()
    except BotoCoreError as error:
        raise ConfigError([f"the AWS SDK cannot be used as configured: {error}"]) from error
    if region is None:
        raise ConfigError(["no region; set `aws: {region: ...}`, `region` on the sink or source, or AWS_REGION"])
    return region


def _region_of_environment() -> str | None:
    """The SDK's region, or AWS_REGION, which containers and the other SDKs have but botocore does not read."""
    found: str | None = _session().get_config_variable("region") or os.environ.get("AWS_REGION")
    return found


@cache
def _session() -> AioSession:
    session = AioSession()
    session.register_component("credential_provider", _Provider(_Chain(session)))
    return session


@cache
def _session_of(role_arn: str, external_id: str | None, region: str) -> AioSession:
    """The session whose clients act in a role. It differs from the one session by its credentials alone."""
    source = _session()
    fetcher = AioAssumeRoleCredentialFetcher(
        client_creator=partial(source.create_client, region_name=region, config=_sts_options()),
        source_credentials=source.get_component("credential_provider").credentials,
        role_arn=role_arn,
        extra_args={"RoleSessionName": "penstock"} | ({"ExternalId": external_id} if external_id else {}),
    )
    session = AioSession()
    session.register_component("data_loader", source.get_component("data_loader"))
    assumed = AioDeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")
    session.register_component("credential_provider", _Provider(assumed))
    return session


def _sts_options() -> AioConfig:
    return AioConfig(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_STS_SECONDS,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )


class _Provider:
    """The session's `credential_provider`: has its credentials without asking anybody."""

    def __init__(self, credentials: Any) -> None:
        self.credentials = credentials

    async def load_credentials(self) -> Any:
        return self.credentials


class _Chain(AioCredentials):  # type: ignore[misc]  # botocore has no types
    """Credentials of the SDK's own chain, which is walked when they are first needed, until it finds some."""

    def __init__(self, session: AioSession) -> None:
        super().__init__("", "", method="penstock-chain")
        self._session = session
        self._found: Any = None
        self._walking = asyncio.Lock()

    async def get_frozen_credentials(self) -> Any:
        """What the request signer asks for. Raises NoCredentialsError, or what a provider of the chain raises."""
        if self._found is None:
            async with self._walking:
                if self._found is None:
                    chain = create_credential_resolver(self._session, region_name=_region_of_environment())
                    self._found = await chain.load_credentials()
        if self._found is None:
            raise NoCredentialsError
        return await self._found.get_frozen_credentials()
