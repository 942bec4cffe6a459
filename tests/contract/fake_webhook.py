"""A web hook on loopback that keeps what is posted to `/hook`, and can be made to fail, hang or refuse."""

import asyncio
from collections.abc import Collection
from typing import Self

from aiohttp import web

POISON = b"never taken"
"""A body that holds it is refused."""


class FakeWebhook:
    """The hook, from `async with` to the end of it."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        """Of each that was taken, by lower-cased name."""
        self.failing: Collection[bytes] | None = ()
        """Bodies that are answered 503; None: every one."""
        self.open, self.waiting = asyncio.Event(), asyncio.Event()
        self.open.set()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**21)
        app.router.add_route("*", "/hook", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0]
        self.address = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self.open.is_set():
            self.waiting.set()
            await self.open.wait()
        if self.failing is None or body in self.failing:
            return web.Response(status=503)
        if POISON in body:
            return web.Response(status=422)
        if request.method == "POST":
            self.taken.append(body)
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(status=204)
