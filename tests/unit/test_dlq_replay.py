"""A replay against a service that is busy, refuses, is not ours or goes away, and one that ends half-way."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from pathlib import Path
from time import monotonic, time
from typing import Any, Self

import orjson
import pytest
from aiohttp import web

from service.config.settings import RouteConfig
from service.delivery.deadletter import envelope
from service.dlq.file import FileReader
from service.dlq.reader import Stored
from service.dlq.replay import WORKERS, Plan, Replay, Tally
from service.dlq.selection import Selection
from service.dlq.sender import Sender
from service.dlq.settled import Settled
from service.event import STRUCTURED, Event, Origin
from service.outcome import Reason
from service.sinks.file import File

Script = Callable[[dict[str, Any], int], tuple[int, Mapping[str, Any], Mapping[str, str]]]
DELIVERED = {"results": [{"status": "delivered"}]}


class Service:
    """An HTTP service that answers by script: `script(event, how often it came before)`."""

    def __init__(self) -> None:
        self.url = ""
        self.script: Script = lambda event, before: (200, DELIVERED, {})
        self.came: list[str] = []
        self.at: list[float] = []
        self.keys: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        event = orjson.loads(await request.read())
        before = self.came.count(event["id"])
        self.came.append(event["id"])
        self.at.append(monotonic())
        self.keys.append(request.headers.get("Authorization", ""))
        status, body, headers = self.script(event, before)
        return web.Response(status=status, body=orjson.dumps(body), headers=headers)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    found = Service()
    application = web.Application()
    application.router.add_post("/v1/orders", found.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


def written(id: str, at: float, sink: str = "lake", key: str | None = None) -> bytes:
    """A letter of Unix time `at`."""
    body = orjson.dumps({"specversion": "1.0", "id": id, "source": "/shop", "type": "t"})
    attributes = {"specversion": "1.0", "id": id, "source": "/shop", "type": "t"}
    event = Event(id, "orders", key, body, STRUCTURED, attributes, Origin("http", 1.0))
    return envelope(event, sink=sink, reason=Reason.TOO_LARGE, detail="", attempts=1, dead_lettered_at=at)


def bury(folder: Path, *ids: str, sink: str = "lake", key: str | None = None) -> None:
    """Letters in a finished file."""
    folder.mkdir(exist_ok=True)
    lines = [written(id, 1.0, sink, key) + b"\n" for id in ids]
    with (folder / "20260131T000000Z-0.ndjson").open("ab") as file:
        file.write(b"".join(lines))


async def replay(folder: Path, service: Service, plan: Plan | None = None, key: str | None = None) -> Tally:
    """One run over the letters in the folder."""
    with Settled(folder.parent / "dead.settled", writing=True) as settled:
        reader = FileReader("dead", File.Config(type="file", path=folder), settled)
        async with Sender(service.url, key, WORKERS) as sender, reader:
            return await Replay(reader, settled, sender, plan or Plan(Selection(), {}), lambda tally: None).run()


async def test_a_busy_service_is_left_alone_for_as_long_as_it_says(tmp_path: Path, service: Service) -> None:
    bury(tmp_path / "dead", "a")
    service.script = lambda event, before: (
        (200, DELIVERED, {}) if before else (503, {"code": "busy"}, {"Retry-After": "1"})
    )
    tally = await replay(tmp_path / "dead", service)
    assert (tally.confirmed, tally.complete, service.came) == (1, True, ["a", "a"])
    assert service.at[1] - service.at[0] >= 1


async def test_what_is_refused_is_kept_and_told_and_the_rest_goes_on(tmp_path: Path, service: Service) -> None:
    bury(tmp_path / "dead", *"abc")
    refusal = {"results": [{"status": "rejected", "error": {"code": "rejected_by_sink", "detail": "no"}}]}
    service.script = lambda event, before: (422, refusal, {}) if event["id"] == "b" else (200, DELIVERED, {})
    tally = await replay(tmp_path / "dead", service)
    assert (tally.selected, tally.confirmed, tally.left, tally.complete) == (3, 2, 0, False)
    assert tally.refused == {"422 rejected_by_sink: no": 1}
    assert (await replay(tmp_path / "dead", service)).selected == 1
    assert sorted(service.came) == ["a", "b", "b", "c"]


@pytest.mark.parametrize(("dead_letter", "replaced"), [("dead", 1), ("elsewhere", 0), (None, 0)])
async def test_a_letter_is_replaced_only_by_one_at_the_same_sink(
    tmp_path: Path, service: Service, dead_letter: str | None, replaced: int
) -> None:
    bury(tmp_path / "dead", "a")
    refusal = {"results": [{"status": "invalid", "error": {"code": "schema_violation", "dead_lettered": True}}]}
    service.script = lambda event, before: (422, refusal, {})
    routes = {"orders": RouteConfig.model_validate({"to": ["s"], "dead_letter": dead_letter})}
    tally = await replay(tmp_path / "dead", service, Plan(Selection(), routes, sink="dead"))
    assert (tally.replaced, tally.refused.total(), tally.complete) == (replaced, 1 - replaced, False)
    assert (await replay(tmp_path / "dead", service)).selected == 1 - replaced


async def test_a_key_that_is_refused_ends_the_run_with_everything_kept(tmp_path: Path, service: Service) -> None:
    bury(tmp_path / "dead", *map(str, range(30)))
    service.script = lambda event, before: (401, {"code": "unauthenticated", "detail": "no key"}, {})
    tally = await replay(tmp_path / "dead", service, key="secret")
    assert (tally.confirmed, tally.complete) == (0, False)
    assert tally.left == tally.selected
    assert "401 unauthenticated: no key; give a key" in tally.stopped
    assert len(service.came) <= WORKERS
    assert set(service.keys) == {"Bearer secret"}
    service.script = lambda event, before: (200, DELIVERED, {})
    assert (await replay(tmp_path / "dead", service)).confirmed == 30


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize(
    "answer",
    [{}, [], "<html>", {"status": "ok"}, {"results": []}, {"results": [1]}, {"results": [{"status": "failed"}]}],
)
async def test_a_good_status_of_something_else_confirms_nothing(
    tmp_path: Path, service: Service, answer: Any, status: int
) -> None:
    bury(tmp_path / "dead", "a")
    service.script = lambda event, before: (200, DELIVERED, {}) if before else (status, answer, {})
    assert (await replay(tmp_path / "dead", service)).confirmed == 1
    assert service.came == ["a", "a"]


async def test_an_event_that_is_stored_is_confirmed(tmp_path: Path, service: Service) -> None:
    bury(tmp_path / "dead", "a")
    service.script = lambda event, before: (202, {"results": [{"status": "stored"}]}, {})
    assert (await replay(tmp_path / "dead", service)).confirmed == 1


async def test_what_was_confirmed_before_the_run_was_killed_is_not_sent_again(tmp_path: Path, service: Service) -> None:
    bury(tmp_path / "dead", *"ab")
    folder, state = tmp_path / "dead", tmp_path / "dead.settled"
    # as a killed run leaves it: settled on the list, and still in the file
    with Settled(state, writing=True) as settled:
        first = await anext(FileReader("dead", File.Config(type="file", path=folder), settled).letters())
        settled.add(first.position)
    tally = await replay(folder, service)
    assert (tally.selected, tally.confirmed, service.came) == (1, 1, ["b"])
    assert not list(folder.iterdir()), "what the killed run had settled is taken away too"


async def test_two_letters_of_one_event_are_one_event(tmp_path: Path, service: Service) -> None:
    bury(tmp_path / "dead", "a")
    bury(tmp_path / "dead", "a", sink="queue")
    tally = await replay(tmp_path / "dead", service)
    assert (tally.selected, tally.confirmed, tally.copies, service.came) == (2, 2, 1, ["a"])


class Refilled:
    """A store in which a new letter of the event appears once that has been sent."""

    place, deletes, notes = "here", True, list[str]()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    def __init__(self, service: Service) -> None:
        self.removed: list[str] = []
        self._service = service

    async def letters(self) -> AsyncGenerator[Stored, None]:
        """The letter that was there, and then the new one."""
        yield Stored("old", written("a", 1.0))
        while not self._service.came:
            await asyncio.sleep(0)
        yield Stored("new", written("a", time()))

    async def remove(self, stored: Stored) -> None:
        """Keep its position."""
        self.removed.append(stored.position)


async def test_a_letter_that_came_of_this_run_is_not_taken_for_a_copy(tmp_path: Path, service: Service) -> None:
    store = Refilled(service)
    with Settled(tmp_path / "settled", writing=True) as settled:
        async with Sender(service.url, None, WORKERS) as sender:
            tally = await Replay(store, settled, sender, Plan(Selection(), {}), lambda tally: None).run()
    # the answer was 200: a required sink has it, and one of best effort refused it once more
    assert (tally.selected, tally.confirmed, service.came) == (1, 1, ["a"])
    assert store.removed == ["old"]


async def test_events_of_one_key_go_one_after_the_other_in_their_order(tmp_path: Path, service: Service) -> None:
    ids = [f"{number:02}" for number in range(20)]
    bury(tmp_path / "dead", *ids, key="k")
    service.script = lambda event, before: (
        (503, {"code": "busy"}, {}) if event["id"] == "03" and not before else (200, DELIVERED, {})
    )
    await replay(tmp_path / "dead", service)
    assert service.came == sorted([*ids, "03"])


async def test_the_rate_and_the_limit_hold(tmp_path: Path, service: Service) -> None:
    bury(tmp_path / "dead", *map(str, range(40)))
    tally = await replay(tmp_path / "dead", service, Plan(Selection(), {}, per_second=100, limit=21))
    assert (tally.selected, tally.confirmed, tally.complete) == (21, 21, True)
    assert service.at[-1] - service.at[0] >= 0.19
    assert (await replay(tmp_path / "dead", service)).selected == 19


async def test_an_address_where_nobody_answers_is_tried_again(tmp_path: Path, service: Service) -> None:
    bury(tmp_path / "dead", "a")
    dropped: list[str] = []

    def drop(event: dict[str, Any], before: int) -> tuple[int, Mapping[str, Any], Mapping[str, str]]:
        if not before:
            dropped.append(event["id"])
            raise ConnectionResetError
        return 200, DELIVERED, {}

    service.script = drop
    assert (await replay(tmp_path / "dead", service)).confirmed == 1
    assert dropped == ["a"]


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="write http://HOST:PORT"):
        Sender("localhost:8080", None, 1)
