"""The console's page and its stream of events, as bytes on the wire."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from service.admin.watch import MOST_VIEWERS
from tests.http.client import SECONDS, connect, head
from tests.http.running import ENVIRONMENT, Service, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
server: {memory: 40MiB}
sinks: {main: {type: "tests.http.scripted:Scripted"}}
routes: {orders: {to: [main]}}
"""
TOKEN = "a token of the admin"
GOOD = b'{"number":1}'


class Viewer:
    """One who looks at the stream."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def event(self) -> tuple[str, Any]:
        """The next event's name and value; comments are passed over. An empty name at the end of the stream."""
        async with asyncio.timeout(SECONDS):
            while True:
                lines = (await self.answer.content.readuntil(b"\n\n")).decode().splitlines()
                if not lines:
                    return "", None
                if lines[0].startswith("event: "):
                    return lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))

    async def picture(self) -> dict[str, Any]:
        """The next picture."""
        while (event := await self.event())[0] != "picture":
            assert event[0]
        return dict(event[1])


@asynccontextmanager
async def viewing(service: Service, token: str = "") -> AsyncIterator[Viewer]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(read_bufsize=2**20) as session,
        session.get(f"{service.admin}/console/events", headers=headers) as answer,
    ):
        yield Viewer(answer)


async def get(service: Service, path: str, headers: dict[str, str] | None = None) -> Any:
    async with await connect(service.admin) as connection:
        await connection.send(head("GET", path, {"Connection": "close", **(headers or {})}))
        return await connection.answer("GET")


async def test_the_history_comes_first_and_then_pictures_that_show_what_is_counted(service: Service) -> None:
    async with viewing(service) as viewer:
        assert viewer.answer.headers["Content-Type"].startswith("text/event-stream")
        assert viewer.answer.headers["Cache-Control"] == "no-store"
        name, history = await viewer.event()
        assert (name, history["every"]) == ("history", 5.0)
        before = (await viewer.picture())["at"]
        assert (await service.post("/v1/orders", GOOD)).status == 200
        while not (seen := await viewer.picture())["total"]["delivered"]:
            assert seen["at"] > before
            before = seen["at"]
    [lane] = seen["lanes"]
    assert (lane["name"], lane["state"], lane["held_events"]) == ("main", "healthy", 0)
    assert seen["off"] == []
    assert [way["received"] > 0 for way in (*seen["inflows"], *seen["outflows"])] == [True, True]


async def test_only_so_many_may_look_at_once_and_whoever_leaves_makes_room(service: Service) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(MOST_VIEWERS):
            await (await stack.enter_async_context(viewing(service))).picture()
        async with viewing(service) as one_too_many:
            assert one_too_many.answer.status == 503
            assert "Retry-After" in one_too_many.answer.headers
            assert (await one_too_many.answer.json(content_type=None))["code"] == "busy"
    async with asyncio.timeout(SECONDS):
        while True:
            async with viewing(service) as viewer:
                if viewer.answer.status == 200:
                    assert (await viewer.picture())["lanes"][0]["name"] == "main"
                    return


async def test_the_streams_end_in_good_order_when_the_service_does() -> None:
    async with running(CONFIGURATION) as service, viewing(service) as viewer:
        await viewer.picture()
        service.stop.set()
        # cut off by a port that is weary of waiting, aiohttp would raise
        while (await viewer.event())[0]:
            pass
        assert await service.running


async def test_a_second_signal_cuts_the_streams_too() -> None:
    async with running(CONFIGURATION) as service, viewing(service) as viewer:
        await viewer.picture()
        service.stop.set()
        service.now.set()
        assert await service.running


async def test_with_a_token_the_page_is_there_for_all_and_the_stream_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "PENSTOCK__ADMIN__TOKEN", TOKEN)
    async with running(CONFIGURATION) as service:
        for path in ("/console", "/console/static/console.js"):
            assert (await get(service, path)).status == 200
        for path in ("/console/events", "/console/", "/console/static", "/status"):
            assert (await get(service, path)).status == 401, path
        async with viewing(service, "another token") as viewer:
            assert viewer.answer.status == 401
        async with viewing(service, TOKEN) as viewer:
            assert (await viewer.picture())["lanes"][0]["name"] == "main"
        service.stop.set()  # a running one is asked for its metrics at the end, without the token
        await service.running


async def test_the_page_loads_nothing_from_elsewhere_and_is_kept_by_no_cache_unasked(service: Service) -> None:
    page = await get(service, "/console")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-cache"
    assert b"://" not in page.body
    again = await get(service, "/console", {"If-None-Match": page.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["../app.py", "%2e%2e/app.py", "..%2fapp.py", "vendor/../../app.py", "//etc/hostname", "vendor", "", "nothing.js"],
)
async def test_no_other_file_is_ever_given(service: Service, path: str) -> None:
    assert (await get(service, f"/console/static/{path}")).status == 404


@pytest.mark.parametrize("path", ["/console", "/console/events", "/console/static/console.js"])
async def test_the_console_is_only_looked_at(service: Service, path: str) -> None:
    async with await connect(service.admin) as connection:
        await connection.send(head("POST", path, {"Content-Length": "0", "Connection": "close"}))
        assert (await connection.answer()).status == 405
