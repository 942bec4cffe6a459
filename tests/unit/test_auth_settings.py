"""Settings of `server.auth` that would open the door are refused."""

from typing import Any

import pytest

from service.config.auth import Auth, Kind


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
