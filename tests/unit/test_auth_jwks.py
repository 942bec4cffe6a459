"""The keys of an issuer: fetched beside the traffic, kept while it is away, and no rubbish ends the asking."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa

from service.auth import jwks
from service.auth.jwks import usable
from service.auth.refusal import KeysAwaited, Why
from tests.unit.door import door
from tests.unit.issuer import EC_KEY, OTHER_KEY, RSA_KEY, Issuer, issuing, public, response


@pytest_asyncio.fixture(name="issuer")
async def _issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


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
        await asyncio.wait_for(forgotten.wait(), 30)
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
        await asyncio.wait_for(forgotten.wait(), 30)
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
        async with asyncio.timeout(30):
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
        async with asyncio.timeout(30):
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
        await asyncio.wait_for(changed.wait(), 30)
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
