"""API keys: who has which. Only keyed hashes are kept; a key is compared in constant time.

A key is `NAME.SECRET` with 256 random bits of secret. What is kept of it is an HMAC-SHA-256 (RFC 2104) under a pepper
that lies elsewhere: whoever can write the list of keys, but does not know the pepper, can add none of his own, and the
list alone does not even tell whether a key is in it.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import inf
from time import time
from typing import Annotated, Final

import yaml
from msgspec import Struct
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.auth.principal import Grant, Principal, limited
from service.auth.refusal import Refused, Why
from service.errors import ConfigError

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
LEAST_PEPPER: Final = 32
"""Characters: 128 bits in hexadecimal digits."""
_NO_HASH: Final = "0" * 64
_WRONG_FILE: Final = "is no list of keys; write `keys:` and under it what `penstock key NAME` prints"


class _Entry(BaseModel):
    """One key in the list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    hmac_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    routes: tuple[str, ...] | None = None
    not_after: AwareDatetime | None = None


class _List(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[_Entry, ...]


class _Key(Struct, frozen=True):
    digest: str
    grant: Grant


class Keys:
    """The keys of one list, under the peppers that are in use."""

    def __init__(self, keys: Mapping[str, Iterable[_Key]], peppers: Sequence[bytes]) -> None:
        self._keys = {name: tuple(each) for name, each in keys.items()}
        self._peppers = peppers
        self._nobodys = (_Key(_NO_HASH, Grant(Principal("", frozenset()))),)

    def grant(self, key: str) -> Grant:
        """What `key` is good for. Raises Unauthenticated: it is not known, or has ended."""
        name = key.partition(".")[0]
        found: Grant | None = None
        for digest in [hashed(key, pepper) for pepper in self._peppers]:
            for each in self._keys.get(name, self._nobodys):  # all of them: how long it takes tells nothing
                if hmac.compare_digest(digest, each.digest):
                    found = each.grant
        if found is None or name not in self._keys:
            raise Refused(Why.UNKNOWN_KEY, "this API key is not known here")
        if found.until <= time():
            raise Refused(Why.EXPIRED, "this API key has ended; use the one that replaces it")
        return found

    def __len__(self) -> int:
        return sum(map(len, self._keys.values()))


def read_keys(
    text: str, place: str, peppers: Sequence[bytes], routes: Iterable[str], accepting: frozenset[str] | None = None
) -> Keys:
    """The keys in `text`, which stands at `place`. `routes`: those that there are; `accepting`: those that take keys.

    Raises ConfigError with every mistake, without a word of the text: somebody may have put a key there in clear.
    """
    try:
        found = _List.model_validate(yaml.safe_load(text))
    except Exception:  # noqa: BLE001 - of a date or number that is none PyYAML raises whatever Python does
        raise ConfigError([f"{place}: {_WRONG_FILE}"]) from None
    if mistakes := [f"{place}: {each}" for each in _mistakes(found.keys, frozenset(routes))]:
        raise ConfigError(mistakes)
    keys: dict[str, list[_Key]] = {}
    for entry in found.keys:
        principal = Principal(entry.name, limited(entry.routes, accepting))
        until = inf if entry.not_after is None else entry.not_after.timestamp()
        keys.setdefault(entry.name, []).append(_Key(entry.hmac_sha256, Grant(principal, until)))
    return Keys(keys, peppers)


def _mistakes(entries: Iterable[_Entry], routes: frozenset[str]) -> Iterable[str]:
    seen: dict[str, _Entry] = {}
    digests = set[str]()
    for entry in entries:
        yield from (
            f"key {entry.name!r}: there is no route {route!r}" for route in entry.routes or () if route not in routes
        )
        if entry.hmac_sha256 in digests:
            yield f"key {entry.name!r} stands there twice"
        digests.add(entry.hmac_sha256)
        first = seen.setdefault(entry.name, entry)
        if _set(first.routes) != _set(entry.routes):
            yield f"key {entry.name!r}: all keys of one name have the same routes; give the other one another name"


def _set(routes: Iterable[str] | None) -> frozenset[str] | None:
    return None if routes is None else frozenset(routes)


def new_key(name: str, pepper: bytes) -> tuple[str, str]:
    """A new key for `name`, and the keyed hash (hex) to keep of it."""
    key = f"{name}.{secrets.token_urlsafe(32)}"
    return key, hashed(key, pepper)


def entry_of(name: str, digest: str, routes: Iterable[str] | None, not_after: datetime | None) -> str:
    """The line of the list for a key."""
    more = f", routes: [{', '.join(map(_scalar, routes))}]" if routes else ""
    more += f', not_after: "{not_after.isoformat(timespec="seconds")}"' if not_after else ""
    return f"  - {{name: {_scalar(name)}, hmac_sha256: {_scalar(digest)}{more}}}"


def _scalar(text: str) -> str:
    """A text as YAML reads it as one: `on` and `123` are something else."""
    return text if yaml.safe_load(text) == text else f'"{text}"'


def hashed(key: str, pepper: bytes) -> str:
    """What is kept of a key (hex)."""
    return hmac.new(pepper, key.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
