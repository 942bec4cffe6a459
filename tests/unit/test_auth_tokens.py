"""Tokens of issuers: which are taken, and that no trick makes one sound."""

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
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.auth import tokens
from service.auth.refusal import Why
from service.config.settings import RouteConfig
from tests.unit.door import ROUTES, door
from tests.unit.issuer import EC_KEY, OTHER_KEY, RSA_KEY, Issuer, issuing, public


@pytest_asyncio.fixture(name="issuer")
async def _issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


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
