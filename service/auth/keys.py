"""API keys: who may send to which route. Only hashes are kept; a key is compared in constant time.

A key is `NAME.SECRET` with 256 random bits of secret, so that one SHA-256 is hash enough. It comes as
`Authorization: Bearer NAME.SECRET` or `X-Api-Key: NAME.SECRET`.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.auth.principal import ANYBODY, Principal
from service.config.settings import Auth
from service.errors import Code, ConfigError, Unauthenticated

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NO_HASH = "0" * 64


class _Entry(BaseModel):
    """One key in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    routes: tuple[str, ...] | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[_Entry, ...]


class Keys:
    """Tells who sends. Without keys everybody is `ANYBODY`."""

    def __init__(self, entries: Mapping[str, tuple[str, Principal]] | None) -> None:
        self._entries = entries

    def principal(self, headers: Mapping[str, str]) -> Principal:
        """Who sends a request with these headers (lower-cased names). Raises Unauthenticated."""
        if self._entries is None:
            return ANYBODY
        given = headers.get("x-api-key")
        if given is None:
            scheme, _, token = headers.get("authorization", "").partition(" ")
            given = token.strip() if scheme.lower() == "bearer" else None
        if given is None:
            raise Unauthenticated(
                Code.UNAUTHENTICATED, "send an API key, as `Authorization: Bearer NAME.SECRET` or `X-Api-Key`"
            )
        name = given.partition(".")[0]
        expected, principal = self._entries.get(name, (_NO_HASH, None))
        if not hmac.compare_digest(_hash(given), expected) or principal is None:
            raise Unauthenticated(Code.UNAUTHENTICATED, "this API key is not known here")
        return principal


def open_keys(auth: Auth | None, routes: Mapping[str, object]) -> Keys:
    """The keys that `auth` names. Raises ConfigError if they cannot be read, or name a route that is not there."""
    if auth is None or auth.anonymous:
        return Keys(None)
    place, text = _text(auth)
    try:
        found = _File.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError):
        # neither error is shown: both may quote the file, and somebody may have put a key there in clear
        raise ConfigError(
            [f"{place}: is no list of keys; write `keys:` and under it what `penstock key NAME` prints"]
        ) from None
    mistakes = [
        f"{place}: key {entry.name!r}: there is no route {route!r}"
        for entry in found.keys
        for route in entry.routes or ()
        if route not in routes
    ]
    names = [entry.name for entry in found.keys]
    mistakes += [f"{place}: key {name!r} stands there twice" for name in sorted(set(names)) if names.count(name) > 1]
    if mistakes:
        raise ConfigError(mistakes)
    return Keys(
        {
            entry.name: (
                entry.sha256,
                Principal(entry.name, None if entry.routes is None else frozenset(entry.routes)),
            )
            for entry in found.keys
        }
    )


def _text(auth: Auth) -> tuple[str, str]:
    """Where the keys stand, and what stands there."""
    if auth.keys_variable is not None:
        place = f"environment variable {auth.keys_variable}"
        text = os.environ.get(auth.keys_variable)
        if not text:
            raise ConfigError([f"server.auth.keys_variable: {place} is not set"])
        return place, text
    assert auth.keys_file is not None
    try:
        return str(auth.keys_file), auth.keys_file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError([f"server.auth.keys_file: {auth.keys_file}: cannot be read: {reason}"]) from None


def new_key(name: str) -> tuple[str, str]:
    """A new key for `name`, and the SHA-256 (hex) to keep of it."""
    key = f"{name}.{secrets.token_urlsafe(32)}"
    return key, _hash(key)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
