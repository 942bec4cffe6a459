"""The console's watch: it looks whether or not anybody does, draws once for all, and survives what it cannot see."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from service.admin import watch as module
from service.admin.subject import Answer
from service.admin.watch import Watch
from service.telemetry.snapshot import Snapshot
from tests.unit.console_moments import ROUTES, TOPOLOGY, Past


class Subject:
    """A service that can be hidden."""

    def __init__(self) -> None:
        self.past = Past()
        self.taken = 0
        self.trouble: Exception | None = None
        self.shown = asyncio.Event()
        self.shown.set()

    async def snapshot(self) -> Snapshot:
        await self.shown.wait()
        self.taken += 1
        if self.trouble is not None:
            raise self.trouble
        return Snapshot("serving", self.past.meter, list(self.past.lanes.values()), {}, [])

    def livez(self) -> Answer:
        return 200, {}

    def readyz(self) -> Answer:
        return 200, {}

    def workers(self) -> list[dict[str, Any]]:
        return []


@asynccontextmanager
async def watched(subject: Subject) -> AsyncIterator[Watch]:
    async with asyncio.timeout(30), Watch(subject, TOPOLOGY, ROUTES) as watch:
        yield watch


@asynccontextmanager
async def looking(watch: Watch) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    with watch.viewing():
        async with aclosing(watch.stream()) as stream:
            yield stream


async def looked(subject: Subject, times: int) -> None:
    """Return once it was looked at so many times more."""
    until = subject.taken + times
    while subject.taken < until:
        await asyncio.sleep(0)


async def pictures(stream: AsyncGenerator[bytes, None], count: int) -> list[dict[str, Any]]:
    """The next so many."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        for event in (await anext(stream)).split(b"\n\n"):
            name, _, data = event.partition(b"\ndata: ")
            if name == b"event: picture":
                found.append(json.loads(data))
    return found


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.001)


async def test_nothing_is_drawn_while_nobody_looks() -> None:
    subject = Subject()
    async with watched(subject) as watch:
        await looked(subject, 10)
        assert watch.pictures == 0


async def test_one_picture_is_drawn_for_all_who_look() -> None:
    subject = Subject()
    async with watched(subject) as watch:
        await looked(subject, 2)
        async with looking(watch) as one, looking(watch) as other:
            seen, too = await asyncio.gather(pictures(one, 20), pictures(other, 20))
            drawn, looks = watch.pictures, subject.taken
    assert len({picture["at"] for picture in seen} & {picture["at"] for picture in too}) >= 15
    assert drawn <= looks


async def test_whoever_comes_between_two_looks_gets_the_picture_that_there_is() -> None:
    subject = Subject()
    async with watched(subject) as watch:
        await looked(subject, 2)
        subject.shown.clear()
        seen: list[dict[str, Any]] = []
        for _ in range(3):
            async with looking(watch) as stream:
                seen += await pictures(stream, 1)
        assert [seen[0]] * 3 == seen
        assert watch.pictures == 1


async def test_the_stream_begins_with_the_history_of_the_time_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.admin.history.EVERY_SECONDS", 0.5)  # half a second less is none: each look is a point
    subject = Subject()
    async with watched(subject) as watch:
        await looked(subject, 50)
        async with aclosing(watch.stream()) as stream:
            first = b""
            while not first.endswith(b"\n\n"):
                piece = await anext(stream)
                assert len(piece) <= module.PIECE_BYTES
                first += piece
    name, _, data = first.partition(b"\ndata: ")
    assert name == b"event: history"
    history = json.loads(data)
    assert len(history["at"]) >= 40
    assert set(history["lanes"]) == {"", "lake", "dead"}


async def test_a_service_that_cannot_be_seen_is_told_once_and_looked_at_again(caplog: pytest.LogCaptureFixture) -> None:
    subject = Subject()
    async with watched(subject) as watch:
        with caplog.at_level(logging.ERROR):
            subject.trouble = ValueError("a worker says nonsense")
            await looked(subject, 5)
            subject.trouble = None
            async with looking(watch) as stream:
                assert [picture["phase"] for picture in await pictures(stream, 2)] == ["serving"] * 2
            subject.trouble = ValueError("again")
            await looked(subject, 5)
    assert [record.message for record in caplog.records] == ["the console cannot see the service"] * 2


async def test_a_stream_without_news_says_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    subject = Subject()
    subject.shown.clear()
    async with watched(subject) as watch, aclosing(watch.stream()) as stream:
        assert (await anext(stream)).startswith(b"event: history")
        assert [await anext(stream) for _ in range(2)] == [b": nothing new\n\n"] * 2


async def test_when_the_watch_ends_its_streams_do_and_none_begins() -> None:
    subject = Subject()
    async with watched(subject) as watch:
        await looked(subject, 2)
        async with looking(watch) as stream:
            await pictures(stream, 1)
            assert watch.has_room
            watch.end()
            assert [event async for event in stream] == []
        assert not watch.has_room
        await looked(subject, 3)
