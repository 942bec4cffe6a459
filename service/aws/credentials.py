"""Credentials for who is not in the event loop: threads of other libraries that sign for themselves.

The process's session lives in the loop. This is its twin, with the same chain and the same roles: what it found is
kept, and refreshed by whoever asks when it is about to expire.
"""

import threading
from functools import cache, partial
from typing import Any, NamedTuple

from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    DeferredRefreshableCredentials,
    create_credential_resolver,
)
from botocore.exceptions import NoCredentialsError
from botocore.session import Session

_CONNECT_SECONDS = 2.0
_STS_SECONDS = 5.0


class Frozen(NamedTuple):
    """Credentials of one moment."""

    credentials: Any
    """botocore's ReadOnlyCredentials."""
    expiry: float | None
    """Unix seconds; None if they do not expire."""


class Credentials:
    """Those of the SDK's chain, or of a role assumed with them, from when they are first needed. Thread-safe."""

    def __init__(self, role_arn: str | None, external_id: str | None, region: str) -> None:
        self._role_arn = role_arn
        self._external_id = external_id
        self._region = region
        self._found: Any = None
        self._one = threading.Lock()

    def frozen(self) -> Frozen:
        """What is valid now. May ask a metadata service or STS, and block for seconds while they are away.

        Raises NoCredentialsError, or what a provider of the chain or STS raises.
        """
        # nobody else refreshes them, so that credentials and expiry belong together
        with self._one:
            if self._found is None:
                self._found = self._assumed() if self._role_arn else self._chain()
            frozen = self._found.get_frozen_credentials()
            # botocore tells when they expire nowhere else
            expiry = getattr(self._found, "_expiry_time", None)
        return Frozen(frozen, None if expiry is None else expiry.timestamp())

    def _chain(self) -> Any:
        found = create_credential_resolver(_session(), region_name=self._region).load_credentials()
        if found is None:
            raise NoCredentialsError
        return found

    def _assumed(self) -> Any:
        external = {"ExternalId": self._external_id} if self._external_id else {}
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(_session().create_client, region_name=self._region),
            source_credentials=self._chain(),
            role_arn=self._role_arn,
            extra_args={"RoleSessionName": "penstock"} | external,
        )
        return DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")


@cache
def credentials(role_arn: str | None, external_id: str | None, region: str) -> Credentials:
    """The one object for these settings. `region`: whose STS is asked."""
    return Credentials(role_arn, external_id, region)


@cache
def _session() -> Session:
    session = Session()
    session.set_default_client_config(
        Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_STS_SECONDS,
            retries={"total_max_attempts": 1, "mode": "standard"},
        )
    )
    return session
