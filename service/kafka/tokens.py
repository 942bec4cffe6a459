"""Tokens for the IAM access control of MSK: what librdkafka asks for when it needs one."""

import logging
from typing import Any, Final

from aws_msk_iam_sasl_signer.MSKAuthTokenProvider import generate_auth_token_from_credentials_provider
from botocore.credentials import CredentialProvider

from service.aws.credentials import credentials
from service.aws.settings import AwsIdentity

log = logging.getLogger(__name__)

_PER_SECOND: Final = 1000.0
"""The signer tells milliseconds, librdkafka's callback is to tell seconds."""


class Tokens:
    """An `oauth_cb`: called when a client is made, and when four fifths of a token's life are over.

    Runs in a thread of librdkafka's. Whatever it raises, librdkafka asks again after ten seconds.
    """

    def __init__(self, identity: AwsIdentity, region: str) -> None:
        """`region`: of the brokers."""
        self._identity = identity
        self._region = region
        self.trouble: str | None = None
        """Why there was no token the last time, while there is none."""

    def __call__(self, config: str | None) -> tuple[str, float]:
        """A token, and when it expires in Unix seconds: with the credentials that signed it, if that is earlier.

        The token is a presigned URL of kafka-cluster:Connect, valid for 900 s whatever signed it
        (aws-msk-iam-sasl-signer 1.0); brokers do not take it when the credentials have expired.
        """
        del config
        try:
            found = credentials(self._identity.role_arn, self._identity.external_id, self._region).frozen()
            token, milliseconds = generate_auth_token_from_credentials_provider(self._region, _Given(found.credentials))
        except Exception as error:
            before, self.trouble = self.trouble, f"{type(error).__name__}: {error}"
            if before is None:
                log.warning("no token for MSK could be made", extra={"region": self._region, "detail": self.trouble})
            raise
        self.trouble = None
        expiry = milliseconds / _PER_SECOND
        return token, expiry if found.expiry is None else min(expiry, found.expiry)


class _Given(CredentialProvider):  # type: ignore[misc]  # botocore has no types
    """Has the credentials already; the signer only takes them from a provider."""

    METHOD = "penstock"

    def __init__(self, found: Any) -> None:
        super().__init__()
        self._found = found

    def load(self) -> Any:
        return self._found
