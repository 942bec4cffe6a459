"""The public keys of an issuer: fetched beside the traffic, kept while they cannot be fetched again.

JWKS is RFC 7517; where an issuer has it is in its discovery document (OpenID Connect Discovery 1.0, section 4).
"""

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Callable, Mapping
from time import monotonic, time
from typing import Any, Final, Self

import aiohttp
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from service.config.auth import Issuer, safe_url
from service.tasks import ended
from service.telemetry.meter import Meter

log = logging.getLogger(__name__)

MOST_BYTES: Final = 256 * 1024
"""Of each document."""
MOST_KEYS: Final = 100
FETCH_SECONDS: Final = 5.0
"""For both documents together."""
AGAIN_SECONDS: Final = 10.0
"""Between fetches for a key that is not known, and after one that failed."""
LEAST_RSA_BITS: Final = 2048
"""NIST SP 800-131A: less is no longer allowed."""
WHAT: Final = "jwt"
"""Label of the metrics."""

FAMILIES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""The type of key that an algorithm works with: no key is ever used as anything else."""
UNREADABLE: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError)
"""How it fails to be there, or to be what it should."""

Names = Mapping[str | None, PyJWK]


class Jwks:
    """The keys of one issuer, by `kid`. Entered, it fetches them from then on."""

    def __init__(self, issuer: Issuer, meter: Meter, changed: Callable[[], None]) -> None:
        """`changed` is called when other keys than before are there."""
        self._issuer = issuer
        self._meter = meter
        self._changed = changed
        self._wanted = asyncio.Event()
        self._fetched = asyncio.Event()
        self._last = -AGAIN_SECONDS
        self.failing = False
        """Whether the last fetch failed: a key that is not known may be a new one."""
        self._task: asyncio.Task[None] | None = None
        self._documents: object = None
        self.keys: Names | None = None
        """None before the first fetch."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep(), name="jwks")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await ended(self._task)

    async def fetched(self) -> None:
        """Return after the first fetch, whether or not it brought any."""
        await self._fetched.wait()

    def find(self, kid: str | None) -> PyJWK | None:
        """The key of that name; without a name the only one that there is. None if there is none."""
        keys = self.keys or {}
        if kid is None and len(keys) == 1:
            return next(iter(keys.values()))
        return keys.get(kid)

    def want(self) -> bool:
        """A key is not known: ask for it now, if that was not done just before. Whether it may be there soon."""
        if not self._wanted.is_set() and monotonic() - self._last < AGAIN_SECONDS:
            return False
        self._wanted.set()
        return True

    async def _keep(self) -> None:
        while True:
            self._wanted.clear()
            well = await self._fetch()
            self._last = monotonic()
            self._fetched.set()
            # replicas that began together do not ask together for ever
            seconds = self._issuer.refresh * random.uniform(0.8, 1.0) if well else AGAIN_SECONDS
            with contextlib.suppress(TimeoutError):  # nobody wants a key that is not there: it is time again
                await asyncio.wait_for(self._wanted.wait(), seconds)

    async def _fetch(self) -> bool:
        try:
            document = await self.document()
            keys = usable(document, self._issuer.algorithms)
        except Exception as error:  # noqa: BLE001 - whatever it is, the old keys stay, and it is asked again
            self._meter.auth_refresh_failures[WHAT] += 1
            if not self.failing:
                log.error(
                    "the keys of an issuer cannot be fetched",
                    extra={"issuer": self._issuer.issuer, "detail": f"{type(error).__name__}: {error}"[:300]},
                )
            self.failing = True
            return False
        self.failing = False
        self._meter.auth_refreshed[WHAT] = time()
        if document != self._documents:
            self._documents, self.keys = document, keys
            log.info("the keys of an issuer are there", extra={"issuer": self._issuer.issuer, "keys": len(keys)})
            self._changed()
        return True

    async def document(self) -> Any:
        """What the issuer publishes now. Raises one of UNREADABLE, within FETCH_SECONDS."""
        async with asyncio.timeout(FETCH_SECONDS), aiohttp.ClientSession(trust_env=True) as session:
            url = self._issuer.jwks_url
            if url is None:
                about = await _get(session, f"{self._issuer.issuer.rstrip('/')}/.well-known/openid-configuration")
                if not isinstance(about, dict) or about.get("issuer") != self._issuer.issuer:
                    raise ValueError("the discovery document is of another issuer")
                url = safe_url(str(about.get("jwks_uri")))
            return await _get(session, url)


async def _get(session: aiohttp.ClientSession, url: str) -> Any:
    """The JSON at `url`. Raises ValueError for another status than 200, more than MOST_BYTES, or what is no JSON."""
    async with session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as answer:
        if answer.status != 200:
            raise ValueError(f"{url}: status {answer.status}")
        content = bytearray()
        async for piece in answer.content.iter_chunked(16 * 1024):
            content += piece
            if len(content) > MOST_BYTES:
                raise ValueError(f"{url}: more than {MOST_BYTES} bytes")
    try:
        return json.loads(bytes(content))
    except (ValueError, RecursionError):
        raise ValueError(f"{url}: is no JSON") from None


def usable(document: Any, algorithms: tuple[str, ...]) -> Names:
    """The keys of a JWKS with which signatures of `algorithms` can be verified. Raises ValueError if it is none."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MOST_KEYS:
        raise ValueError(f"is no JWKS with at most {MOST_KEYS} keys")
    found: dict[str | None, PyJWK] = {}
    for entry in entries:
        key = _key(entry, algorithms)
        if key is not None:
            found[key.key_id] = key
    return found


def _key(entry: Any, algorithms: tuple[str, ...]) -> PyJWK | None:
    """One key; None if it is for something else, or cannot be used."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct" or "d" in entry:
        return None
    stated, name = entry.get("alg"), entry.get("kid")
    if name is not None and not isinstance(name, str):
        return None
    if stated is not None and stated not in algorithms:
        return None
    try:
        key = PyJWK(entry)
    except (PyJWTError, ValueError, TypeError):
        return None
    if key.key_type not in {FAMILIES[algorithm[:2]] for algorithm in algorithms}:
        return None
    return None if key.key_type == "RSA" and key.key.key_size < LEAST_RSA_BITS else key
