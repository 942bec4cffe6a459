"""Who sends: what the credentials of a request say, and what keeps them up to date."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from time import time
from typing import TYPE_CHECKING, Final, Self

from service.auth.keyplace import KeyPlace
from service.auth.principal import ANYBODY, Grant, Principal, limited
from service.auth.refusal import KeysAwaited, Refused, Why
from service.aws.settings import AwsConfig
from service.config.auth import Auth, Kind
from service.config.settings import RouteConfig
from service.errors import IngestError
from service.telemetry.meter import Meter

if TYPE_CHECKING:
    from service.auth.jwks import Jwks
    from service.auth.tokens import Tokens

FIRST_SECONDS: Final = 5.0
"""How long a start waits for keys from elsewhere. After it, who needs them hears 503 until they are there."""

_OPEN: Final = Grant(ANYBODY)


class Authenticator:
    """Tells who sends. Entered, it keeps keys up to date."""

    def __init__(
        self,
        auth: Auth | None,
        routes: Mapping[str, RouteConfig],
        aws: AwsConfig | None = None,
        meter: Meter | None = None,
    ) -> None:
        """`aws`: with which a secret is read. Raises ConfigError if a file or variable cannot be used."""
        self._auth = auth or Auth()
        self._meter = meter or Meter()
        self._changed: list[Callable[[], None]] = []
        self._kinds = self._auth.kinds
        accepting = {kind: accepting_routes(routes, kind) for kind in Kind}
        names = frozenset(routes)
        self._open = frozenset(name for name, route in routes.items() if route.auth == ())
        self._anonymous = Grant(Principal("", self._open))
        self._keys = (
            KeyPlace(self._auth, names, accepting[Kind.KEYS], aws or AwsConfig(), self._meter, self._tell)
            if Kind.KEYS in self._kinds
            else None
        )
        self._issuers: list[Jwks] = []
        self._tokens = self._trusting(names, accepting[Kind.JWT]) if self._auth.jwt else None
        self._certificates = {
            each.subject: Grant(Principal(each.name, limited(each.routes, accepting[Kind.CERTIFICATES])))
            for each in self._auth.certificates
        }
        self._stack = AsyncExitStack()

    def _trusting(self, routes: frozenset[str], accepting: frozenset[str] | None) -> "Tokens":
        from service.auth.jwks import Jwks  # libraries that a service without tokens need not load
        from service.auth.tokens import Tokens, Trusted

        self._issuers = [Jwks(issuer, self._meter, self._forget_tokens) for issuer in self._auth.jwt]
        trusted = [Trusted(issuer, jwks) for issuer, jwks in zip(self._auth.jwt, self._issuers, strict=True)]
        return Tokens(trusted, routes, accepting)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            waits = [(await stack.enter_async_context(jwks)).fetched() for jwks in self._issuers]
            if self._keys is not None:
                waits.append((await stack.enter_async_context(self._keys)).first())
            with contextlib.suppress(TimeoutError):  # it starts without them: whoever needs them hears 503
                async with asyncio.timeout(FIRST_SECONDS):
                    await asyncio.gather(*waits)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def on_change(self, forget: Callable[[], None]) -> None:
        """Call `forget` when what was granted may be granted no more."""
        self._changed.append(forget)

    def _tell(self) -> None:
        for forget in self._changed:
            forget()

    def _forget_tokens(self) -> None:
        if self._tokens is not None:
            self._tokens.forget()
        self._tell()

    def grant(self, route: str, headers: Mapping[str, str], subject: str | None = None) -> Grant:
        """What the credentials of a request to `route` are good for.

        `headers` have lower-cased names; `subject`: whom the client's verified certificate names (`tls.subject`).
        Raises Unauthenticated, or Unavailable if that cannot be told now.
        """
        if not self._kinds:
            return _OPEN
        return self._granted(route, headers, subject)

    def count(self, error: IngestError) -> None:
        """A request is answered with `error`: count it if that is about credentials."""
        if isinstance(error, Refused | KeysAwaited):
            self._meter.auth_refused[error.why.value] += 1

    def _granted(self, route: str, headers: Mapping[str, str], subject: str | None) -> Grant:
        key = headers.get("x-api-key")
        if key is not None:
            return self._by_key(key.strip())
        scheme, _, given = headers.get("authorization", "").partition(" ")
        given = given.strip()
        if scheme.lower() == "bearer" and given:
            return self._by_token(given) if given.count(".") == 2 else self._by_key(given)
        if subject is not None and Kind.CERTIFICATES in self._kinds:
            grant = self._certificates.get(subject)
            if grant is not None:
                return grant
            if route not in self._open:
                raise Refused(Why.UNKNOWN_CERTIFICATE, "the certificate's subject is not known here")
        if route in self._open:
            return self._anonymous
        raise Refused(Why.MISSING, f"send {self._wanted()}")

    def _by_key(self, key: str) -> Grant:
        if self._keys is None:
            raise Refused(Why.NOT_TAKEN, f"API keys are not taken here; send {self._wanted()}")
        if self._keys.now is None:
            raise KeysAwaited("the API keys are not there yet")
        return self._keys.now.grant(key)

    def _by_token(self, token: str) -> Grant:
        if self._tokens is None:
            raise Refused(Why.NOT_TAKEN, f"tokens of issuers are not taken here; send {self._wanted()}")
        return self._tokens.grant(token, time())

    def _wanted(self) -> str:
        ways = {
            Kind.KEYS: "an API key, as `Authorization: Bearer NAME.SECRET` or `X-Api-Key`",
            Kind.JWT: "a token, as `Authorization: Bearer TOKEN`",
            Kind.CERTIFICATES: "a client certificate that is known here",
        }
        return ", or ".join(words for kind, words in ways.items() if kind in self._kinds)


def accepting_routes(routes: Mapping[str, RouteConfig], kind: Kind) -> frozenset[str] | None:
    """The routes that take credentials of `kind`; None if all do."""
    found = frozenset(name for name, route in routes.items() if not route.auth or kind in route.auth)
    return None if len(found) == len(routes) else found


def inspect(auth: Auth | None, routes: Mapping[str, RouteConfig]) -> None:
    """Raise ConfigError for what cannot be used, as far as that can be told without a network."""
    Authenticator(auth, routes)
