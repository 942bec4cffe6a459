"""What others make of openapi.yaml: its validator, schemathesis against the running service, a generated client."""

import asyncio
import importlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.running import Service, running
from tests.integration.command import penstock
from tests.openapi.fuzzing import CONFIGURATION, FILES, ROOT, TOOLS, fuzzed

ORDER = {"order": "o-1", "customer": {"id": "c-7"}}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """The service that clients talk to."""
    async with running(CONFIGURATION, FILES) as found:
        yield found


def test_it_is_valid_by_the_rules_of_openapi() -> None:
    done = subprocess.run(
        [TOOLS / "openapi-spec-validator", ROOT / "openapi.yaml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_request_that_schemathesis_makes_up_is_answered_with_5xx_or_otherwise_than_described() -> None:
    status, said = fuzzed("--max-examples", "15")
    assert status == 0, said
    assert "5 passed" in said, said


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package that openapi-python-client makes."""
    document = tmp_path / "penstock.yaml"
    document.write_text(penstock("openapi", "--body", "application/json", folder=tmp_path).stdout)
    (tmp_path / "options.yaml").write_text("post_hooks: []")
    made = subprocess.run(
        [
            *(TOOLS / "openapi-python-client", "generate", "--meta", "none", "--fail-on-warning"),
            *("--path", document, "--output-path", tmp_path / "made_client", "--config", tmp_path / "options.yaml"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "WARN" not in (made.stdout + made.stderr).upper()
    monkeypatch.syspath_prepend(str(tmp_path))
    return importlib.import_module("made_client")


async def test_a_generated_client_sends_an_event_and_a_batch_and_reads_refusals_as_models(
    client: Any, service: Service
) -> None:
    ingest = importlib.import_module("made_client.api.events.ingest")
    models = importlib.import_module("made_client.models")
    livez = importlib.import_module("made_client.api.health.livez")
    readyz = importlib.import_module("made_client.api.health.readyz")
    event = models.Event.from_dict
    async with client.AuthenticatedClient(base_url=service.url, token="NAME.SECRET") as known:

        async def send(route: str, body: Any, **headers: str) -> Any:
            async with asyncio.timeout(30):
                return await ingest.asyncio_detailed(route, client=known, body=body, **headers)

        one = await send("orders", event(ORDER))
        assert one.status_code == 200
        assert [(each.id, each.status) for each in one.parsed.results] == [("o-1", models.EventStatus.DELIVERED)]

        many = await send("notes", [event({"a": 1}), event({"a": 2})], idempotency_key="k")
        assert [each.id for each in many.parsed.results] == ["k/0", "k/1"]
        assert isinstance(many.parsed, models.Results)

        mixed = await send("orders", [event(ORDER), event({"order": "o-2"})])
        assert (mixed.status_code, mixed.parsed.failed) == (207, 1)

        invalid = await send("orders", event({"order": "o-2", "customer": {}}))
        assert invalid.status_code == 422
        [result] = invalid.parsed.results
        assert result.status is models.EventStatus.INVALID
        assert result.error.code is models.ErrorCode.SCHEMA_VIOLATION
        assert [each.pointer for each in result.error.errors] == ["#/customer"]

        nowhere = await send("nowhere", event(ORDER))
        assert isinstance(nowhere.parsed, models.Problem)
        assert nowhere.parsed.code is models.ErrorCode.UNKNOWN_ROUTE
        assert (await livez.asyncio(client=known)).status == "alive"
        assert (await readyz.asyncio(client=known)).status == "ready"
