"""The console in a real Chromium, before a service whose destinations are throttled, and come back."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page

from bench.scenarios.producers import Producers
from bench.scenarios.world import World, world
from deploy.local.faultproxy.behaviour import Behaviour, Fault
from service.delivery.remedies import JOURNAL_FULL, REMEDIES
from tests.conservation import assert_conserved, samples
from tests.integration.browser import chromium, console, executable, flaws
from tests.integration.command import Serving
from tests.integration.test_faults import kinesis, one_route_each
from tests.integration.workers import TWO, written

AMBER_SECONDS = 3.0
THROTTLED = Behaviour(shares={Fault.THROTTLED: 1.0})
TOKEN = "the token of the admin"
PHONE = {"width": 400, "height": 800}


@asynccontextmanager
async def busy(folder: Path, sinks: dict[str, dict[str, Any]], clients: int = 4) -> AsyncIterator[World]:
    """A service with a route to each of these sinks, and producers that send to all until the end."""
    async with world(one_route_each(sinks), dict.fromkeys(sinks, Behaviour(delay=0.01)), folder) as running:
        producers = Producers(running.session, running.url)
        until = asyncio.get_running_loop().time() + 600
        sending = [asyncio.create_task(producers.closed_loop(name, clients, 5, until, interval=0.2)) for name in sinks]
        try:
            yield running
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)


async def test_a_throttled_destination_turns_its_lane_amber_within_three_seconds_and_no_other(tmp_path: Path) -> None:
    executable()
    sinks = {"orders": kinesis("orders"), "lake": kinesis("lake"), "work": {"type": "sqs", "queue": "work"}}
    async with busy(tmp_path, sinks) as running, chromium() as browser, console(browser, running.admin) as seen:
        for lane in sinks:
            await seen.state(lane, "healthy")
        await seen.page.wait_for_function("Number(document.querySelector('#tiles b').textContent) > 0")
        for lane in ("orders", "work"):
            await running.behave(lane, THROTTLED)
            await seen.state(lane, "throttled", AMBER_SECONDS)
            amber = await seen.page.evaluate(
                "getComputedStyle(document.documentElement).getPropertyValue('--throttled')"
            )
            assert await _colours(seen.page, lane) == {amber.strip()}
            assert f"{lane} is throttled" in await seen.text("#changes")
            assert f"{lane} is throttled" in await seen.text("#verdict")
            assert "throttled" in await seen.text(f'#lanes tr[data-key="{lane}"] .reasons')
            await running.behave(lane, Behaviour(delay=0.01))
            await seen.state(lane, "healthy")
            await seen.page.wait_for_function("document.querySelector('#verdict').textContent.includes('All 3 lanes')")
        assert "Balanced" in await seen.text("#books")
        assert await seen.page.locator("#ends .none").count() == 1, "patience was longer than the trouble"
        assert_conserved(samples(await running.metrics()))


async def _colours(page: Any, lane: str) -> set[str]:
    """The variable `--state` of the lane's row, and of its node in the picture."""
    return {
        (
            await page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).getPropertyValue('--state')")
        ).strip()
        for selector in (f'#lanes tr[data-key="{lane}"]', f'.node[data-node="lane {lane}"]')
    }


async def test_a_dead_destination_and_a_lane_without_room_have_other_words_and_shapes(tmp_path: Path) -> None:
    executable()
    sinks = {
        "orders": kinesis("orders"),
        "work": {"type": "sqs", "queue": "work", "memory": "64KiB"},
    }
    many = busy(tmp_path, sinks, clients=16)
    async with many as running, chromium() as browser, console(browser, running.admin) as seen:
        await seen.state("orders", "healthy")
        await running.behave("orders", Behaviour(dead=True))
        await running.behave("work", Behaviour(delay=5.0, servers=1))
        await seen.state("orders", "failing")
        await seen.state("orders", "open")
        await seen.state("work", "full")
        shapes = [await seen.page.inner_html(f'#lanes tr[data-key="{lane}"] .sign') for lane in sinks]
        assert len(set(shapes)) == 2
        assert "orders" in await seen.text("#troubles")
        assert await seen.text("#troubles .do") in REMEDIES.values()
        assert await flaws(seen.page) == []
        for lane in sinks:
            await running.behave(lane, Behaviour())  # else the drain at the end would take its time


async def test_a_trouble_that_is_no_lanes_is_said_at_the_head_too(tmp_path: Path) -> None:
    executable()
    journal = {"journal": "it is full", "state": "full", "since": "2026-03-01T08:58:11+00:00", "do": JOURNAL_FULL}
    async with (
        busy(tmp_path, {"orders": kinesis("orders")}, clients=1) as running,
        chromium() as browser,
        console(browser, running.admin) as seen,
    ):
        await seen.state("orders", "healthy")
        assert await _head(seen.page, troubles=[]) == ("The lane is healthy", "healthy")
        assert await _head(seen.page, troubles=[journal]) == ("journal is full", "full")
        off = [{"where": "orders", "route": "orders", "events": 1}]
        assert await _head(seen.page, troubles=[], off=off) == ("The books do not balance", "failing")


async def _head(page: Page, **shown: Any) -> tuple[str, str]:
    """What the head says of a picture in which one lane is healthy."""
    lane = {"name": "orders", "state": "healthy", "oldest_seconds": 0}
    total = {"received": 0, "refused": 0, "delivered": 0, "retried": 0, "dead_lettered": 0, "held_events": 0}
    picture = {"at": 0, "phase": "serving", "lanes": [lane], "off": [], "workers": [], "journal": None, "total": total}
    code = """async picture => {
        const { overview } = await import("./console/static/overview.js");
        overview()(picture);
        const head = document.getElementById("verdict");
        return [head.textContent, head.dataset.state];
    }"""
    words, state = await page.evaluate(code, {**picture, **shown})
    return words, state


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_it_by_day_and_by_night_on_a_phone_and_by_keyboard(tmp_path: Path, scheme: str) -> None:
    executable()
    sinks = {f"lane_{number:02}": kinesis(f"stream-{number}") for number in range(20)}
    async with busy(tmp_path, sinks, clients=1) as running, chromium() as browser:
        async with console(browser, running.admin, color_scheme=scheme, viewport=PHONE) as seen:
            await seen.state("lane_19", "healthy")
            assert await seen.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
            assert await flaws(seen.page) == []
        async with console(browser, running.admin, color_scheme=scheme) as seen:
            await seen.state("lane_19", "healthy")
            assert await flaws(seen.page) == []
            tree = await seen.page.get_by_role("table", name="Lanes").aria_snapshot()
            assert tree.count("rowheader") == len(sinks)
            assert "columnheader" in tree
            focused = []
            for _ in range(3):
                await seen.page.keyboard.press("Tab")
                focused.append(await seen.page.evaluate("document.activeElement.textContent"))
            assert focused == ["Skip to the lanes", "lane_00", "lane_01"]
            await seen.page.keyboard.press("Enter")
            assert await seen.page.input_value("#which") == "lane_01"
            await seen.page.wait_for_selector("#charts figure [role=img][aria-label*='in ']", timeout=20_000)


async def test_the_token_is_asked_for_kept_in_the_tab_and_a_wrong_one_is_said_to_be(tmp_path: Path) -> None:
    executable()
    written(tmp_path)
    with Serving("serve", folder=tmp_path, more={"PENSTOCK__ADMIN__TOKEN": TOKEN}) as serving:
        async with chromium() as browser:
            viewed = await browser.new_context()
            page = await viewed.new_page()
            await page.goto(f"{serving.admin}/console")
            await page.get_by_label("Token").fill("another token than that")
            await page.keyboard.press("Enter")
            await page.get_by_role("alert").filter(has_text="does not take this token").wait_for()
            assert await page.get_by_role("table").count() == 0
            assert await flaws(page) == []
            await page.get_by_label("Token").fill(TOKEN)
            await page.get_by_role("button", name="Show").click()
            await page.get_by_role("rowheader", name="lake").wait_for()
            await page.reload()
            await page.get_by_role("rowheader", name="lake").wait_for()
            assert TOKEN not in page.url
            assert await page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
            other = await viewed.new_page()
            await other.goto(f"{serving.admin}/console")
            await other.get_by_label("Token").wait_for()
            await viewed.close()
        serving.signal(signal.SIGTERM)
        serving.end_well()


async def test_a_page_whose_service_is_gone_says_so_and_finds_the_next_one(tmp_path: Path) -> None:
    executable()
    written(tmp_path)
    async with chromium() as browser:
        page = await browser.new_page()
        with Serving("serve", folder=tmp_path) as serving:
            await page.goto(f"{serving.admin}/console")
            await page.get_by_role("rowheader", name="lake").wait_for()
            serving.signal(signal.SIGSTOP)
            await page.get_by_role("status").filter(has_text="The service says nothing").wait_for()
            assert await page.title() == "(stale) Penstock console"
            assert await flaws(page) == []
            serving.signal(signal.SIGCONT)
            await page.locator("#link[data-link=live]").wait_for()
            await page.get_by_role("status").wait_for(state="hidden")
            await page.wait_for_function("document.title === 'Penstock console'")
            serving.signal(signal.SIGKILL)
            serving.end()
            await page.get_by_role("status").filter(has_text="is cut").wait_for()
        again = {"PENSTOCK__ADMIN__PORT": serving.admin.rpartition(":")[2]}
        with Serving("serve", folder=tmp_path, more=again) as serving:
            await page.locator("#link[data-link=live]").wait_for()
            await page.get_by_role("status").wait_for(state="hidden")
            serving.signal(signal.SIGTERM)
            serving.end_well()


async def test_with_workers_the_stream_shows_all_of_them_as_one_and_ends_with_them(tmp_path: Path) -> None:
    written(tmp_path)
    with Serving("serve", folder=tmp_path, more=TWO) as serving:
        async with (
            aiohttp.ClientSession(read_bufsize=2**20) as session,
            session.get(f"{serving.admin}/console/events") as answer,
        ):
            sending = asyncio.create_task(_send(session, serving.url, 40))
            while not (seen := await _picture(answer.content))["total"]["delivered"]:
                assert seen["off"] == []
            await sending
            assert [worker["state"] for worker in seen["workers"]] == ["serving", "serving"]
            assert [lane["name"] for lane in seen["lanes"]] == ["lake"]
            serving.signal(signal.SIGTERM)
            while await answer.content.readline():
                pass
        assert await asyncio.to_thread(serving.end) == 0


async def _send(session: aiohttp.ClientSession, url: str, count: int) -> None:
    for number in range(count):
        async with session.post(f"{url}/v1/orders", json={"number": number}) as answer:
            assert answer.status == 200


async def _picture(stream: aiohttp.StreamReader) -> dict[str, Any]:
    while (line := await stream.readline()) != b"event: picture\n":
        assert line, "the stream has ended"
    found: dict[str, Any] = json.loads((await stream.readline()).removeprefix(b"data: "))
    return found
