"""Credentials: nobody is let in who has none, and what is wrong is refused in words that do not quote it."""

from contextlib import suppress
from functools import cache
from typing import Any

import jwt
import orjson

from service.auth.jwks import usable
from service.auth.keys import Keys, read_keys
from service.auth.principal import Grant
from service.auth.refusal import KeysAwaited, Refused
from service.auth.tokens import Tokens, Trusted
from service.config.auth import Issuer
from service.errors import ConfigError
from tests.unit.issuer import RSA_KEY, public

PEPPER = b"p" * 32


class _Keys:
    """A JWKS that has been fetched."""

    def __init__(self) -> None:
        self.keys: Any = {}

    def find(self, kid: str | None) -> Any:
        return _key() if kid == "one" else None

    def want(self) -> bool:
        return False


@cache
def _key() -> jwt.PyJWK:
    return jwt.PyJWK(public(RSA_KEY, "one", alg="RS256"))


@cache
def _tokens() -> Tokens:
    keys: Any = _Keys()
    issuer = Issuer.model_validate({"issuer": "https://issuer.example.com", "audience": "penstock"})
    return Tokens([Trusted(issuer, keys)], frozenset({"orders"}))


@cache
def _list() -> Keys:
    return read_keys(f'keys: [{{name: shop, hmac_sha256: "{"0" * 64}"}}]', "keys", [PEPPER], {"orders"})


def run(data: bytes) -> None:
    """A token, an API key, a list of keys, the keys of an issuer."""
    text = data.decode("latin-1")
    _refused(lambda: _tokens().grant(text, 0.0), text)
    keys = read_keys(f'keys: [{{name: shop, hmac_sha256: "{"0" * 64}"}}]', "keys", [PEPPER], {"orders"})
    _refused(lambda: keys.grant(text), text)
    try:
        read_keys(data.decode("utf-8", "replace"), "keys", [PEPPER], {"orders"})
    except ConfigError as error:
        assert all(len(mistake) < 1000 for mistake in error.mistakes)
    with suppress(ValueError):
        assert isinstance(usable(orjson.loads(data), ("RS256", "ES256", "EdDSA")), dict)


def _refused(grant: Any, text: str) -> None:
    try:
        found: Grant = grant()
    except (Refused, KeysAwaited) as error:
        assert len(text) < 20 or text not in error.detail
    else:
        raise AssertionError(f"{found} is granted to what nobody has signed")
