"""API keys in AWS Secrets Manager: read again and again, and waited for while it is away."""

from pathlib import Path
from typing import Any

import pytest

from service.auth import keyplace
from service.auth.authenticator import Authenticator
from service.auth.refusal import KeysAwaited, Why
from service.aws import session
from service.config.auth import Auth
from service.telemetry.meter import Meter
from tests.unit.test_auth_keys import PEPPER, ROUTES, known, line, listed, until, why


class Secrets:
    """What stands for Secrets Manager's client."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[str] = []

    async def __aenter__(self) -> "Secrets":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803 - the SDK's name
        self.asked.append(SecretId)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"SecretString": answer} if isinstance(answer, str) else answer


@pytest.fixture(name="secrets")
def _secrets(monkeypatch: pytest.MonkeyPatch) -> Secrets:
    found = Secrets()
    regions = list[str | None]()

    def client(service: str, config: Any, **_: Any) -> Secrets:
        assert service == "secretsmanager"
        regions.append(config.region)
        return found

    monkeypatch.setattr(session, "client", client)
    monkeypatch.setenv("P", PEPPER)
    found.regions = regions  # type: ignore[attr-defined]
    return found


async def test_a_secret_is_read_again_and_again(secrets: Secrets) -> None:
    name = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:keys-AbCdEf"
    secrets.answers = [listed(line("shop.one")), OSError("away"), {"SecretBinary": b"x"}, listed(line("shop.two"))]
    auth = Auth(keys_secret=name, pepper_variable="P").model_copy(update={"keys_refresh": 0.01})
    meter = Meter()
    async with Authenticator(auth, ROUTES, meter=meter) as found:
        assert known(found, "shop.one")
        await until(lambda: known(found, "shop.two"))
    assert meter.auth_refresh_failures == {"keys": 2}
    assert set(secrets.asked) == {name}
    assert set(secrets.regions) == {"eu-west-1"}  # type: ignore[attr-defined]


async def test_a_secret_that_could_not_be_read_is_asked_for_soon(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyplace, "AGAIN_SECONDS", 0.01)
    secrets.answers = [OSError("away"), listed(line("shop.one"))]
    auth = Auth(keys_secret="keys", pepper_variable="P", keys_refresh=86_400.0)
    async with Authenticator(auth, ROUTES) as found:
        await until(lambda: len(secrets.asked) == 2)
        await until(lambda: known_or_awaited(found))


def known_or_awaited(found: Authenticator) -> bool:
    try:
        return known(found, "shop.one")
    except KeysAwaited:
        return False


async def test_peppers_that_are_being_written_are_not_taken_when_the_secret_is_read(
    secrets: Secrets, tmp_path: Path
) -> None:
    pepper = tmp_path / "pepper"
    pepper.write_text(f"{PEPPER}\n")
    secrets.answers = [listed(line("shop.one"))]
    auth = Auth(keys_secret="keys", pepper_file=pepper).model_copy(update={"keys_refresh": 0.01})
    async with Authenticator(auth, ROUTES) as found:
        await until(lambda: known_or_awaited(found))
        pepper.write_text("half-of-another-pepper-and-long-enough")
        asked = len(secrets.asked)
        await until(lambda: len(secrets.asked) >= asked + 3)
        assert known(found, "shop.one")


async def test_without_its_secret_a_service_starts_and_says_503(secrets: Secrets) -> None:
    secrets.answers = [OSError("away")]
    auth = Auth(keys_secret="keys", pepper_variable="P")
    async with Authenticator(auth, ROUTES) as found:
        with pytest.raises(KeysAwaited):
            found.grant("orders", {"x-api-key": "shop.one"})
        assert why(found, {}) is Why.MISSING
