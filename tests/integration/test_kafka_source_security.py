"""The kafka source at a real Apache Kafka that asks who it is: connected as the sink is."""

from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka_security import KEY_PASSWORD, PASSWORD, USER
from service.sinks.contract import ProbeError
from tests.integration.consuming import all_committed, consuming, create, numbered, produce, unique
from tests.integration.token_provider import CLIENT, SECRET, oidc

pytestmark = pytest.mark.real_kafka

COUNT = 50


async def receives(secured_kafka: dict[str, str], listener: str, folder: Path, **settings: Any) -> None:
    """All that others wrote, and it commits it."""
    plaintext, topic = secured_kafka["bootstrap"], unique("secured")
    create(plaintext, topic)
    produce(plaintext, topic, numbered(range(COUNT)))
    async with consuming(folder, secured_kafka[listener], topic, **settings) as running:
        await running.source.probe()
        await running.delivered(COUNT)
        await running.until(lambda: all_committed(plaintext, topic))


async def test_a_source_reads_as_a_user(secured_kafka: dict[str, str], tmp_path: Path) -> None:
    who = {"username": USER, "password": PASSWORD}
    await receives(secured_kafka, "scram", tmp_path, auth={"scram": who}, tls=False)


async def test_a_source_reads_as_a_client_with_a_certificate(secured_kafka: dict[str, str], tmp_path: Path) -> None:
    folder = secured_kafka["certificates"]
    files = {"ca_file": "ca.pem", "certificate_file": "client.pem", "key_file": "client.key"}
    tls = {name: f"{folder}/{file}" for name, file in files.items()} | {"key_password": KEY_PASSWORD}
    await receives(secured_kafka, "tls", tmp_path, tls=tls)


async def test_a_source_reads_with_tokens_of_its_provider(
    secured_kafka: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with oidc() as url:
        way = {"token_url": url, "client_id": CLIENT, "client_secret": SECRET}
        await receives(secured_kafka, "oauthbearer", tmp_path, auth={"oauthbearer": way}, tls=False)


async def test_a_source_with_a_wrong_password_says_so(secured_kafka: dict[str, str], tmp_path: Path) -> None:
    who = {"username": USER, "password": "canary-guess"}
    topic = unique("secured")
    create(secured_kafka["bootstrap"], topic)
    async with consuming(tmp_path, secured_kafka["scram"], topic, auth={"scram": who}, tls=False) as running:
        with pytest.raises(ProbeError, match=r"Authentication failed .* or `auth` and `tls`"):
            await running.source.probe()
        await running.until(lambda: running.gauges.trouble is not None)
        assert "canary" not in str(running.gauges.trouble)
