"""`ack: stored` over HTTP: 202 once the disk has an event; 503 with a Retry-After, and not ready, while it has not."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.journal import journal, writer
from tests.disk.vfs import FULL, IOERR_FSYNC, IOERR_WRITE, OK, FailingDisk, watched
from tests.http.claims import assert_problem, assert_retry_after
from tests.http.client import connect, head, request
from tests.http.running import Service, running

CONFIGURATION = """
server: {{memory: 40MiB, drain_timeout: 2s}}
journal: {{path: {path}, volume: ephemeral, min_free: 0}}
sinks:
  main: {{type: "tests.http.scripted:Scripted"}}
  dead: {{type: "tests.http.scripted:Scripted"}}
routes:
  orders: {{ack: stored, to: [main], dead_letter: dead}}
"""


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingDisk]:
    """Under the journal."""
    monkeypatch.setattr(writer, "AGAIN_SECONDS", 0.02)
    (tmp_path / "worker-0").mkdir()
    found = FailingDisk()
    with watched(tmp_path / "worker-0", found):
        yield found


def event(number: int) -> bytes:
    return json.dumps({"number": number}).encode()


async def ready(service: Service) -> tuple[int, dict[str, object]]:
    """The answer of /readyz."""
    async with await connect(service.admin) as connection:
        await connection.send(head("GET", "/readyz", {"Connection": "close"}))
        answer = await connection.answer("GET")
    return answer.status, json.loads(answer.body)


async def until_stored(service: Service, number: int) -> None:
    """Post an event until it is stored."""
    while (answer := await service.post("/v1/orders", event(number))).status != 202:
        assert answer.status == 503, answer


async def taken(service: Service, numbers: set[int]) -> None:
    """Return once these, and no others, have arrived, each once."""
    sink = service.sinks["main"]
    await service.until(lambda _: len(sink.taken) >= len(numbers))
    await service.until(lambda metrics: metrics.total("penstock_lane_events_held") == 0)
    assert sorted(json.loads(each.body)["number"] for each in sink.taken) == sorted(numbers)


@pytest.mark.parametrize("code", [FULL, IOERR_WRITE, IOERR_FSYNC, "read-only"])
async def test_a_disk_that_fails_is_503_and_readiness_says_why(
    tmp_path: Path, disk: FailingDisk, code: int | str
) -> None:
    async with running(CONFIGURATION.format(path=tmp_path)) as service:
        assert (await service.post("/v1/orders", event(1))).status == 202
        assert await ready(service) == (200, {"status": "ready"})
        # it is stored, and that it was delivered: the next commit is that of the next event
        await service.until(lambda metrics: metrics.total("penstock_journal_commit_seconds_count") == 2)
        if code == "read-only":
            disk.read_only = True
        elif code == IOERR_FSYNC:
            disk.on_sync = lambda name: IOERR_FSYNC
        else:
            assert isinstance(code, int)
            disk.on_write = lambda name, code=code: code  # type: ignore[misc]
        answer = await service.post("/v1/orders", event(2))
        assert_retry_after(answer)
        assert answer.status == 503
        [result] = answer.results
        assert (result["status"], result["retryable"], result["may_duplicate"]) == ("unknown", True, True)
        refused = await service.post("/v1/orders", event(3))
        assert_problem(refused, 503, "busy")
        assert_retry_after(refused)
        status, body = await ready(service)
        assert (status, body["status"]) == (503, "journal")
        assert "the disk fails" in json.dumps(body["reasons"])
        disk.heal()
        await until_stored(service, 4)
        assert await ready(service) == (200, {"status": "ready"})
        await taken(service, {1, 4})
        service.stop.set()
        assert await service.running


async def test_a_disk_that_hangs_is_503_and_what_waited_is_stored_once_it_goes_on(
    tmp_path: Path, disk: FailingDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "STALLED_SECONDS", 0.1)
    released = threading.Event()

    def wait(name: str) -> int:
        released.wait(30)
        return OK

    async with running(CONFIGURATION.format(path=tmp_path)) as service, await service.connect() as waiting:
        disk.on_sync = wait
        await waiting.send(request("/v1/orders", event(1)))
        while (await ready(service))[0] == 200:
            pass
        status, body = await ready(service)
        assert (status, body["status"]) == (503, "journal")
        assert "the disk has not answered" in json.dumps(body["reasons"])
        refused = await service.post("/v1/orders", event(2))
        assert_problem(refused, 503, "busy")
        assert_retry_after(refused)
        disk.heal()
        released.set()
        assert (await waiting.answer("POST")).status == 202
        await until_stored(service, 3)
        await taken(service, {1, 3})
        service.stop.set()
        assert await service.running
