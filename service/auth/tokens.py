"""Tokens of issuers (JWT, RFC 7519): verified once, remembered until they end."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import jwt
from jwt import PyJWK
from jwt.exceptions import DecodeError, ExpiredSignatureError, InvalidSignatureError, InvalidTokenError, PyJWTError
from msgspec import Struct

from service.auth.jwks import FAMILIES, Jwks
from service.auth.principal import Grant, Principal, limited
from service.auth.refusal import KeysAwaited, Refused, Why
from service.config.auth import Issuer

MOST_TOKENS: Final = 4096
"""Verified tokens that are remembered; with one more the oldest is forgotten."""
MOST_NAME: Final = 128
"""Characters of the claim that names a principal."""
FAR_SECONDS: Final = 2**53
"""Unix seconds that a floating-point number still holds: no token need be good for longer."""
_UNREADABLE: Final = (ValueError, TypeError, OverflowError, RecursionError)
"""What PyJWT raises beside its own, of numbers and nesting beyond all measure."""


class Trusted(Struct, frozen=True):
    """An issuer, and its keys."""

    issuer: Issuer
    jwks: Jwks


class Tokens:
    """Those of all issuers that are trusted."""

    def __init__(
        self, trusted: Iterable[Trusted], routes: frozenset[str], accepting: frozenset[str] | None = None
    ) -> None:
        """`routes`: those that there are; `accepting`: those that take tokens, None for all."""
        self._trusted = {each.issuer.issuer: each for each in trusted}
        self._routes = routes
        self._accepting = accepting
        self._verified: OrderedDict[bytes, Grant] = OrderedDict()
        """By the digest: a token may have as many bytes as a head."""

    def forget(self) -> None:
        """The keys are others now: every token is verified again."""
        self._verified.clear()

    def grant(self, token: str, now: float) -> Grant:
        """What `token` is good for at `now` (Unix seconds). Raises Refused, or KeysAwaited."""
        digest = hashlib.sha256(token.encode()).digest()
        found = self._verified.get(digest)
        if found is not None:
            if found.until > now:
                return found
            del self._verified[digest]
        found = self._verify(token)
        if len(self._verified) >= MOST_TOKENS:
            self._verified.popitem(last=False)
        self._verified[digest] = found
        return found

    def _verify(self, token: str) -> Grant:
        header, trusted = self._unverified(token)
        issuer, algorithm = trusted.issuer, header.get("alg")
        if algorithm not in issuer.algorithms or "crit" in header:
            raise Refused(Why.MALFORMED_TOKEN, "the token's signature is of a kind that is not taken here")
        key = self._key(trusted, header.get("kid"), algorithm)
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                audience=issuer.audience,
                issuer=issuer.issuer,
                leeway=issuer.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except ExpiredSignatureError:
            raise Refused(Why.EXPIRED, "this token has ended; get a new one from its issuer") from None
        except InvalidSignatureError:
            raise Refused(Why.WRONG_SIGNATURE, "the token's signature is wrong") from None
        except (DecodeError, *_UNREADABLE):
            raise Refused(Why.MALFORMED_TOKEN, "the token cannot be read") from None
        except InvalidTokenError as error:
            raise Refused(Why.WRONG_CLAIMS, f"the token is not for this service: {_plain(error)}") from None
        return self._granted(issuer, claims)

    def _unverified(self, token: str) -> tuple[Mapping[str, Any], Trusted]:
        """Its header, and who it says has issued it: neither is believed before the signature is verified."""
        try:
            parts = jwt.decode_complete(token, options={"verify_signature": False})
        except (PyJWTError, *_UNREADABLE):
            raise Refused(Why.MALFORMED_TOKEN, "the token is no JWT") from None
        named = parts["payload"].get("iss")
        trusted = self._trusted.get(named) if isinstance(named, str) else None
        if trusted is None:
            raise Refused(Why.UNKNOWN_ISSUER, "the token is of an issuer that is not trusted here")
        return parts["header"], trusted

    @staticmethod
    def _key(trusted: Trusted, kid: Any, algorithm: str) -> PyJWK:
        key = trusted.jwks.find(kid if isinstance(kid, str) else None)
        if key is None:
            soon = trusted.jwks.want()
            if soon or trusted.jwks.keys is None or trusted.jwks.failing:
                raise KeysAwaited("the keys of the token's issuer are not there yet")
            raise Refused(Why.UNKNOWN_SIGNER, "the token is signed with a key that its issuer does not publish")
        if key.key_type != FAMILIES[algorithm[:2]]:
            raise Refused(Why.MALFORMED_TOKEN, "the token's algorithm does not go with the key that it names")
        return key

    def _granted(self, issuer: Issuer, claims: Mapping[str, Any]) -> Grant:
        name = claims.get(issuer.name_claim)
        if not isinstance(name, str) or not 0 < len(name) <= MOST_NAME or not name.isprintable():
            raise Refused(Why.WRONG_CLAIMS, f"the token's claim {issuer.name_claim!r} names nobody")
        routes = issuer.routes
        if issuer.routes_claim is not None:
            own = _words(claims.get(issuer.routes_claim), issuer.routes_prefix)
            routes = tuple(own & (self._routes if routes is None else frozenset(routes)))
        until = min(int(claims["exp"]), FAR_SECONDS) + issuer.leeway
        return Grant(Principal(f"{issuer.name_prefix}{name}", limited(routes, self._accepting)), until)


def _words(value: Any, prefix: str) -> set[str]:
    """The routes in a claim: a list, or words with blanks between them."""
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return {word.removeprefix(prefix) for word in words if isinstance(word, str) and word.startswith(prefix)}


def _plain(error: Exception) -> str:
    """PyJWT's words, which quote no more than the names of claims; those of ours are bounded all the same."""
    return str(error)[:120]
