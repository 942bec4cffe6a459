"""A real Chromium that looks at the console, and notes all that a page should not do."""

import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--no-sandbox", "--disable-dev-shm-usage")
"""It runs as root, in containers with little shared memory; the only page that it sees is ours."""
SECONDS = 15.0


def executable() -> str:
    """Where it is. Skips the test if it is not installed, unless PENSTOCK_TEST_CHROMIUM says that it has to be."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        assert os.environ.get("PENSTOCK_TEST_CHROMIUM") != "real", "PENSTOCK_TEST_CHROMIUM is `real`: install Chromium"
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    return found


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without a past."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=OPTIONS)
        yield browser
        await browser.close()


class Seen:
    """One page, and what it did that it should not: errors, and requests to other hosts."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self._host = urlsplit(address).netloc
        page.set_default_timeout(SECONDS * 1000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type in ("error", "warning") else None)
        page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        if urlsplit(url).netloc != self._host:
            self.elsewhere.append(url)

    async def state(self, lane: str, state: str, seconds: float = SECONDS) -> None:
        """Return once the lane's row says so."""
        await self.page.wait_for_selector(f'#lanes tr[data-key="{lane}"][data-state="{state}"]', timeout=seconds * 1000)

    async def text(self, selector: str) -> str:
        """What stands there."""
        return (await self.page.text_content(selector)) or ""


@asynccontextmanager
async def console(browser: Browser, admin: str, **context: Any) -> AsyncIterator[Seen]:
    """The page of a service's console; asserts that it did nothing that it should not."""
    # lines that run are drawn sixty times a second, on cores that the service needs
    viewed = await browser.new_context(reduced_motion="reduce", **context)
    seen = Seen(await viewed.new_page(), admin)
    await seen.page.goto(f"{admin}/console")
    yield seen
    assert seen.errors == []
    assert seen.elsewhere == []
    await viewed.close()


async def flaws(page: Page) -> list[Mapping[str, Any]]:
    """What axe-core finds of the rules of WCAG 2.2, A and AA, that the page breaks."""
    from axe_playwright_python.base import AXE_SCRIPT

    await page.evaluate(AXE_SCRIPT)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = await page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
    return [{"id": each["id"], "nodes": [node["html"] for node in each["nodes"]]} for each in found["violations"]]
