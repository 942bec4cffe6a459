"""What the doctor says of issuers and of the secret with the API keys."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from service.auth import examination
from service.aws import session
from service.aws.settings import AwsConfig
from service.config.auth import Auth
from service.config.auth import Issuer as Trusted
from service.finding import Finding, Level
from tests.unit.issuer import Issuer, issuing, response
from tests.unit.test_auth_keys import PEPPER, ROUTES, line, listed


async def of_issuer(issuer: Issuer, **settings: Any) -> Finding:
    trusted = Trusted.model_validate({"issuer": issuer.url, "audience": "penstock", **settings})
    (found,) = [each async for each in examination.issuer(trusted)]
    return found


async def test_an_issuer_that_publishes_keys_is_well_and_another_is_a_problem_with_a_remedy() -> None:
    async with issuing() as issuer:
        found = await of_issuer(issuer)
        assert (found.level, found.found) == (Level.OK, "2 for RS256, ES256")
        found = await of_issuer(issuer, algorithms=["EdDSA"])
        assert (found.level, found.do) == (Level.PROBLEM, "set `algorithms` to what it signs with")
        issuer.answer = response(b"", "403 Forbidden")
        found = await of_issuer(issuer)
        assert found.level is Level.PROBLEM
        assert "status 403" in found.found
        assert "jwks_url" in found.do


class Secrets:
    """What stands for Secrets Manager's client."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def __aenter__(self) -> "Secrets":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def get_secret_value(self, SecretId: str) -> Any:  # noqa: N803 - the SDK's name
        del SecretId
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


DENIED = ClientError(
    {"Error": {"Code": "AccessDeniedException", "Message": "User: x is not authorized to perform: it"}},
    "GetSecretValue",
)


@pytest.mark.parametrize(
    ("answer", "level", "words"),
    [
        ({"SecretString": listed(line("shop.one"))}, Level.OK, "1 in the secret"),
        ({"SecretBinary": b"x"}, Level.PROBLEM, "no text"),
        (DENIED, Level.PROBLEM, "User: x is not authorized to perform: it"),
    ],
)
async def test_the_secret_of_api_keys_is_read_as_the_service_does(
    monkeypatch: pytest.MonkeyPatch, answer: Any, level: Level, words: str
) -> None:
    monkeypatch.setenv("P", PEPPER)
    monkeypatch.setattr(session, "client", lambda *_, **__: Secrets(answer))
    auth = Auth(keys_secret="keys", pepper_variable="P")
    (found,) = [each async for each in examination.secret(auth, ROUTES, AwsConfig(region="eu-west-1"))]
    assert found.level is level
    assert words in found.found
