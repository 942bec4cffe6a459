"""API keys in AWS Secrets Manager: made by one command, read by the service, rotated while it serves."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import get_session

from deploy.local.emulator import ACCESS_KEY, REGION, SECRET_KEY, isolated
from tests.integration.command import Serving, penstock
from tests.integration.consuming import unique
from tests.integration.workers import until

PEPPER = {"PEPPER": "0123456789abcdef0123456789abcdef"}


@pytest.fixture(name="secrets")
async def _secrets(emulator: str) -> AsyncIterator[Any]:
    client = get_session().create_client(
        "secretsmanager",
        region_name=REGION,
        endpoint_url=emulator,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    async with client as open_client:
        yield open_client


async def test_keys_in_a_secret_are_read_and_rotated_while_the_service_serves(
    secrets: Any, emulator: str, tmp_path: Path
) -> None:
    name = unique("keys")
    (tmp_path / "penstock.yaml").write_text(
        f"server: {{auth: {{keys_secret: {name}, pepper_variable: PEPPER, keys_refresh: 1s}}}}\n"
        "sinks: {lake: {type: memory}}\n"
        "routes: {orders: {to: [lake]}, returns: {to: [lake]}}\n"
    )
    known = {key: value for key, value in isolated({}, emulator).items() if key.startswith("AWS_")} | PEPPER

    def made() -> tuple[str, str]:
        """A key, and its entry in the list."""
        done = penstock("key", "shop", "--route", "orders", folder=tmp_path, more=known)
        assert done.returncode == 0, done.stderr
        key, _, entry = done.stdout.strip("\n").partition("\n")
        return key.strip(), entry.strip("\n")

    old, entry = made()
    new, other = made()
    await secrets.create_secret(Name=name, SecretString=f"keys:\n{entry}\n")
    with Serving("serve", folder=tmp_path, more=known) as serving:
        until(lambda: serving.post("orders", {"number": 1}, old)[0] == 200)
        assert serving.post("returns", {"number": 1}, old)[0] == 403
        assert serving.post("orders", {"number": 1}, new)[0] == 401
        await secrets.put_secret_value(SecretId=name, SecretString=f"keys:\n{entry}\n{other}\n")
        until(lambda: serving.post("orders", {"number": 2}, new)[0] == 200)
        assert serving.post("orders", {"number": 2}, old)[0] == 200, "both are good while they are rotated"
        await secrets.put_secret_value(SecretId=name, SecretString=f"keys:\n{other}\n")
        until(lambda: serving.post("orders", {"number": 3}, old)[0] == 401)
        await secrets.put_secret_value(SecretId=name, SecretString="keys: [")
        assert serving.until("API keys cannot be read: the old ones are kept")["place"] == f"secret {name}"
        assert serving.post("orders", {"number": 4}, new)[0] == 200
        serving.signal(signal.SIGTERM)
        serving.end_well()
    for key in (old, new):
        assert key.partition(".")[2] not in "".join(serving.said)
