"""Why credentials were refused, or could not be looked at."""

from enum import StrEnum
from typing import Final

from service.errors import Code, Unauthenticated, Unavailable

SOON_SECONDS: Final = 1.0
"""After which credentials are worth trying again whose keys are being fetched."""


class Why(StrEnum):
    """Closed: a metric label."""

    MISSING = "missing"
    """None were sent."""
    NOT_TAKEN = "not_taken"
    """Of a kind that is not taken here."""
    UNKNOWN_KEY = "unknown_key"
    UNKNOWN_CERTIFICATE = "unknown_certificate"
    MALFORMED_TOKEN = "malformed_token"  # noqa: S105 - a label
    """No JWT, or one whose algorithm or form is not taken."""
    UNKNOWN_ISSUER = "unknown_issuer"
    UNKNOWN_SIGNER = "unknown_signer"
    """Its issuer publishes no such key."""
    WRONG_SIGNATURE = "wrong_signature"
    WRONG_CLAIMS = "wrong_claims"
    """Audience, name, or not valid yet."""
    EXPIRED = "expired"
    UNAVAILABLE = "unavailable"
    """503: the keys are not there yet, so nobody can be known."""


class Refused(Unauthenticated):
    """401, and why."""

    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(Code.UNAUTHENTICATED, detail)
        self.why = why
        self.given = why not in (Why.MISSING, Why.NOT_TAKEN)


class KeysAwaited(Unavailable):
    """503: whether these credentials are sound cannot be told before the keys are there."""

    why = Why.UNAVAILABLE

    def __init__(self, detail: str) -> None:
        super().__init__(Code.AUTH_UNAVAILABLE, detail, SOON_SECONDS)
