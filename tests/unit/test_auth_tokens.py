"""Tokens of issuers: which are taken, and that no trick makes one sound."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from time import time
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.auth import jwks, tokens
from service.auth.authenticator import Authenticator
from service.auth.jwks import usable
from service.auth.refusal import KeysAwaited, Refused, Why
from service.config.auth import Auth, Kind
from service.config.settings import RouteConfig
from service.telemetry.meter import Meter
from tests.unit.issuer import EC_KEY, OTHER_KEY, RSA_KEY, Issuer, issuing, public, response

ROUTES = {name: RouteConfig.model_validate({"to": ["main"]}) for name in ("orders", "returns")}


@pytest_asyncio.fixture(name="issuer")
async def _issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


class Door:
    """An authenticator that trusts one issuer."""

    def __init__(self, found: Authenticator, meter: Meter) -> None:
        self.found = found
        self.meter = meter

    def routes(self, token: str) -> frozenset[str] | None:
        return self.found.grant("orders", {"authorization": f"Bearer {token}"}).principal.routes

    def name(self, token: str) -> str:
        return self.found.grant("orders", {"authorization": f"Bearer {token}"}).principal.name

    @property
    def remembered(self) -> list[int]:
        """The bytes by which each token is known that was verified."""
        assert self.found._tokens is not None
        return [len(each) for each in self.found._tokens._verified]

    def refused(self, token: str) -> Why:
        with pytest.raises(Refused) as caught:
            self.name(token)
        assert token not in caught.value.detail
        return caught.value.why


async def door(stack: AsyncExitStack, issuer: Issuer, there: Any = ROUTES, **settings: Any) -> Door:
    meter = Meter()
    auth = Auth.model_validate({"jwt": {"issuer": issuer.url, "audience": "penstock", **settings}})
    return Door(await stack.enter_async_context(Authenticator(auth, there, meter=meter)), meter)


@pytest.mark.parametrize("settings", [{}, {"jwks_url": "/jwks"}])
async def test_a_sound_token_names_a_principal(issuer: Issuer, settings: dict[str, str]) -> None:
    settings = {name: issuer.url + value for name, value in settings.items()}
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer, **settings)
        assert at.name(issuer.token()) == "jwt:shop"
        assert at.name(issuer.token(EC_KEY, "ES256", "curve", aud=["other", "penstock"])) == "jwt:shop"
        assert at.routes(issuer.token()) is None
        assert (await door(stack, issuer, name_prefix="own:")).name(issuer.token()) == "own:shop"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "other"}, Why.WRONG_CLAIMS),
        ({"aud": None}, Why.WRONG_CLAIMS),
        ({"exp": None}, Why.WRONG_CLAIMS),
        ({"exp": 1}, Why.EXPIRED),
        ({"exp": "soon"}, Why.MALFORMED_TOKEN),
        ({"nbf": int(time()) + 3600}, Why.WRONG_CLAIMS),
        ({"iat": int(time()) + 3600}, Why.WRONG_CLAIMS),
        ({"iss": "https://other.example.com"}, Why.UNKNOWN_ISSUER),
        ({"iss": None}, Why.UNKNOWN_ISSUER),
        ({"sub": None}, Why.WRONG_CLAIMS),
        ({"sub": ""}, Why.WRONG_CLAIMS),
        ({"sub": "a\nb"}, Why.WRONG_CLAIMS),
        ({"sub": "x" * 200}, Why.WRONG_CLAIMS),
        ({"sub": 7}, Why.WRONG_CLAIMS),
    ],
)
async def test_a_token_with_other_claims_is_refused(issuer: Issuer, claims: dict[str, Any], why: Why) -> None:
    key = claims == {"sub": 7}
    token = (
        issuer.token(**claims)
        if not key
        else jwt.api_jws.encode(json.dumps(issuer.claims(**claims)).encode(), RSA_KEY, "RS256", {"kid": "one"})
    )
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        assert at.refused(token) is why


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


async def test_no_trick_with_the_algorithm_makes_a_token_sound(issuer: Issuer) -> None:
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        claims = issuer.claims()
        assert at.refused(f"{encoded({'alg': 'none', 'kid': 'one'})}.{encoded(claims)}.") is Why.MALFORMED_TOKEN
        # RS256's public key as the secret of HS256 (CVE-2015-9235 and its kin)
        body = f"{encoded({'alg': 'HS256', 'kid': 'one'})}.{encoded(claims)}"
        for form in (
            RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            RSA_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        ):
            signature = base64.urlsafe_b64encode(hmac.new(form, body.encode(), hashlib.sha256).digest())
            assert at.refused(f"{body}.{signature.rstrip(b'=').decode()}") is Why.MALFORMED_TOKEN
        # a key of one type for another
        assert at.refused(issuer.token(kid="curve")) is Why.MALFORMED_TOKEN
        # a key that the token brings along
        own = {"alg": "RS256", "kid": "one", "jwk": public(OTHER_KEY, "one")}
        assert at.refused(jwt.encode(claims, OTHER_KEY, "RS256", own)) is Why.WRONG_SIGNATURE
        # an algorithm that is not on the list
        assert at.refused(issuer.token(algorithm="RS384")) is Why.MALFORMED_TOKEN
        # an extension that must be understood (RFC 7515 section 4.1.11)
        head = {"kid": "one", "crit": ["exp"], "exp": 1}
        assert at.refused(jwt.encode(claims, RSA_KEY, "RS256", head)) is Why.MALFORMED_TOKEN


@pytest.mark.parametrize(
    "token",
    [
        "a.b.c",
        "..",
        "e30.e30.",
        "é.é.é",
        "[" * 5000 + ".e30.x",
        f"{'A' * 20000}.{'A' * 5000}.A",
        "bnVsbA.bnVsbA.bnVsbA",
    ],
)
async def test_rubbish_is_no_token(issuer: Issuer, token: str) -> None:
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        assert at.refused(token) in (Why.MALFORMED_TOKEN, Why.UNKNOWN_ISSUER)


async def test_a_changed_payload_or_signature_is_refused(issuer: Issuer) -> None:
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        head, payload, signature = issuer.token().split(".")
        assert at.refused(f"{head}.{encoded(issuer.claims(sub='root'))}.{signature}") is Why.WRONG_SIGNATURE
        assert at.refused(f"{head}.{payload}.{'A' * len(signature)}") is Why.WRONG_SIGNATURE
        assert at.refused(issuer.token(OTHER_KEY)) is Why.WRONG_SIGNATURE


async def test_routes_come_from_the_settings_and_from_a_claim(issuer: Issuer) -> None:
    async with AsyncExitStack() as stack:
        some = await door(stack, issuer, routes_claim="scope", routes_prefix="penstock:")
        assert some.routes(issuer.token(scope="openid penstock:orders penstock:nothing")) == frozenset({"orders"})
        assert some.routes(issuer.token(scope=["penstock:orders", 7, "returns"])) == frozenset({"orders"})
        assert some.routes(issuer.token()) == frozenset()
        one = await door(stack, issuer, routes=["returns"])
        assert one.routes(issuer.token()) == frozenset({"returns"})
        both = await door(stack, issuer, routes=["returns"], routes_claim="may")
        assert both.routes(issuer.token(may=["orders", "returns"])) == frozenset({"returns"})
        other = {**ROUTES, "keyed": RouteConfig.model_validate({"to": ["main"], "auth": ["keys"]})}
        assert (await door(stack, issuer, there=other)).routes(issuer.token()) == frozenset({"orders", "returns"})


async def test_a_verified_token_is_remembered_until_it_ends(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer, leeway="0s")
        token = issuer.token(exp=int(time()) + 100)
        grant = at.found.grant("orders", {"authorization": f"Bearer {token}"})
        decoded: list[str] = []
        decode = jwt.decode

        def counted(*given: Any, **named: Any) -> Any:
            decoded.append("")
            return decode(*given, **named)

        monkeypatch.setattr(jwt, "decode", counted)
        assert at.name(token) == "jwt:shop"
        assert decoded == []
        later = grant.until + 1
        monkeypatch.setattr("service.auth.authenticator.time", lambda: later)
        assert at.name(token) == "jwt:shop"  # the issuer's library has a clock of its own
        assert decoded == [""]


async def test_a_token_may_end_whenever_it_says(issuer: Issuer) -> None:
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        for ends in (time() + 600.5, 10**18, 10**400):
            assert at.name(issuer.token(exp=ends)) == "jwt:shop"


async def test_no_more_tokens_are_remembered_than_may_be(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_TOKENS", 3)
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        for number in range(10):
            assert at.name(issuer.token(sub=f"s-{number}")) == f"jwt:s-{number}"
        assert at.remembered == [32] * 3


async def test_a_large_token_takes_no_more_memory_than_a_small_one(issuer: Issuer) -> None:
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        assert at.name(issuer.token(more="x" * 20_000)) == "jwt:shop"
        assert at.remembered == [32]


# the keys of an issuer


async def test_a_key_that_is_published_later_is_found(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "AGAIN_SECONDS", 0.0)
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        forgotten = asyncio.Event()
        at.found.on_change(forgotten.set)
        token = issuer.token(OTHER_KEY, kid="two")
        with pytest.raises(KeysAwaited) as caught:
            at.name(token)
        assert (caught.value.status, caught.value.retryable) == (503, True)
        issuer.keys.append(public(OTHER_KEY, "two"))
        at.found._issuers[0].want()
        await asyncio.wait_for(forgotten.wait(), 10)
        assert at.name(token) == "jwt:shop"


async def test_a_key_that_is_withdrawn_is_taken_no_more(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "AGAIN_SECONDS", 0.0)
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        forgotten = asyncio.Event()
        at.found.on_change(forgotten.set)
        token = issuer.token()
        assert at.name(token) == "jwt:shop"
        del issuer.keys[0]
        at.found._issuers[0].want()
        await asyncio.wait_for(forgotten.wait(), 10)
        monkeypatch.setattr(jwks, "AGAIN_SECONDS", 1000.0)
        assert at.refused(token) is Why.UNKNOWN_SIGNER


async def test_tokens_of_unknown_keys_do_not_make_it_ask_the_issuer_each_time(issuer: Issuer) -> None:
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        asked = issuer.asked
        for number in range(100):
            assert at.refused(issuer.token(kid=f"k-{number}")) is Why.UNKNOWN_SIGNER
        await asyncio.sleep(0)
        assert issuer.asked == asked


@pytest.mark.parametrize(
    "answer",
    [
        response(b"no", "500 Internal Server Error"),
        response(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n"),
        response(b"{"),
        response(b'{"keys": 3}'),
        response(b"[" * 100_000),
        response(b'{"keys":[' + b'{"kty":"RSA"},' * 200 + b"{}]}"),
        response(b" " * (jwks.MOST_BYTES + 1)),
        response(b'{"issuer": "https://other.example.com", "jwks_uri": "https://other.example.com/jwks"}'),
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12",
    ],
)
async def test_an_issuer_that_answers_rubbish_is_no_reason_not_to_start(issuer: Issuer, answer: bytes) -> None:
    issuer.answer = answer
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        assert at.meter.auth_refresh_failures == {"jwt": 1}
        with pytest.raises(KeysAwaited):
            at.name(issuer.token())


async def test_an_issuer_that_does_not_answer_delays_no_start_for_long(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.auth.authenticator.FIRST_SECONDS", 0.01)
    issuer.gate.clear()
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        with pytest.raises(KeysAwaited):
            at.name(issuer.token())


async def test_keys_stay_while_their_issuer_is_away(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "AGAIN_SECONDS", 0.0)
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        issuer.answer = response(b"", "503 Service Unavailable")
        at.found._issuers[0].want()
        async with asyncio.timeout(10):
            while not at.meter.auth_refresh_failures["jwt"]:
                await asyncio.sleep(0.005)
        assert at.name(issuer.token()) == "jwt:shop"


async def test_whether_a_token_of_a_new_key_is_sound_is_not_known_while_the_issuer_is_away(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        monkeypatch.setattr(jwks, "AGAIN_SECONDS", 0.0)
        issuer.answer = response(b"", "503 Service Unavailable")
        at.found._issuers[0].want()
        async with asyncio.timeout(10):
            while not at.meter.auth_refresh_failures["jwt"]:
                await asyncio.sleep(0.005)
        monkeypatch.setattr(jwks, "AGAIN_SECONDS", 1000.0)
        with pytest.raises(KeysAwaited):
            at.name(issuer.token(OTHER_KEY, kid="two"))


@pytest.mark.parametrize("kid", [["one"], {"one": 1}, 1])
async def test_keys_with_a_name_that_is_none_end_no_asking(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, kid: Any
) -> None:
    monkeypatch.setattr(jwks, "AGAIN_SECONDS", 0.0)
    issuer.keys = [{**public(RSA_KEY, "one"), "kid": kid}, public(EC_KEY, "curve")]
    async with AsyncExitStack() as stack:
        at = await door(stack, issuer)
        assert at.name(issuer.token(EC_KEY, "ES256", "curve")) == "jwt:shop"
        issuer.keys = [public(RSA_KEY, "one")]
        changed = asyncio.Event()
        at.found.on_change(changed.set)
        at.found._issuers[0].want()
        await asyncio.wait_for(changed.wait(), 10)
        assert at.name(issuer.token()) == "jwt:shop"


def test_only_keys_for_signatures_of_these_algorithms_are_used() -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    entries = [
        public(RSA_KEY, "good"),
        {**public(RSA_KEY, "for-encryption"), "use": "enc"},
        public(RSA_KEY, "other-algorithm", alg="RS512"),
        public(small, "too-small"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {"kty": "RSA", "kid": "broken"},
        "rubbish",
        None,
    ]
    assert set(usable({"keys": entries}, ("RS256",))) == frozenset({"good"})


# settings


@pytest.mark.parametrize(
    "settings",
    [
        {"issuer": "http://idp.example.com", "audience": "a"},
        {"issuer": "x", "audience": "a"},
        {"issuer": "x", "audience": "a", "jwks_url": "http://idp.example.com/jwks"},
        {"issuer": "x", "audience": "a", "jwks_url": "file:///etc/passwd"},
        {"issuer": "x", "audience": "a", "jwks_url": "https://user:secret@idp.example.com/jwks"},
        {"issuer": "https://idp.example.com"},
        {"issuer": "https://idp.example.com", "audience": []},
        {"issuer": "https://idp.example.com", "audience": "a", "algorithms": ["HS256"]},
        {"issuer": "https://idp.example.com", "audience": "a", "algorithms": ["none"]},
        {"issuer": "https://idp.example.com", "audience": "a", "algorithms": []},
        {"issuer": "https://idp.example.com", "audience": "a", "leeway": "1h"},
    ],
)
def test_settings_that_would_open_the_door_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Auth.model_validate({"jwt": settings})


def test_no_two_issuers_can_name_one_principal() -> None:
    first, second = ({"issuer": f"https://idp-{n}.example.com", "audience": "a"} for n in (1, 2))
    with pytest.raises(ValueError, match="name_prefix 'jwt:' stands there twice"):
        Auth.model_validate({"jwt": [first, second]})
    with pytest.raises(ValueError, match="name_prefix"):
        Auth.model_validate({"jwt": [first, {**second, "name_prefix": "jwt:a:"}]})
    assert len(Auth.model_validate({"jwt": [first, {**second, "name_prefix": "partner:"}]}).jwt) == 2


def test_kinds_are_those_that_are_configured() -> None:
    assert Auth().anonymous
    issuer = {"issuer": "https://idp.example.com", "audience": "a"}
    assert Auth.model_validate({"jwt": issuer}).kinds == {Kind.JWT}
    keyed = {"keys_variable": "K", "pepper_variable": "P", "certificates": [{"subject": "CN=a", "name": "a"}]}
    assert Auth.model_validate(keyed).kinds == {Kind.KEYS, Kind.CERTIFICATES}
