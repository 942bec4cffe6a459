"""The console: a page, what it loads, and the stream of what it shows. It shows; it changes nothing."""

import asyncio
import hashlib
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from service.admin.watch import Watch
from service.tasks import ended

PAGE: Final = "/console"
STATIC: Final = "/console/static/"
_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # asked again each time, and answered 304: a new version is seen at once
    "Cache-Control": "no-cache",
}

_UNBUFFERED: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""The second is nginx's (ngx_http_proxy_module, proxy_buffering): else it would collect pictures."""

Refusal = Callable[[str], Response]
"""The answer to a viewer for whom there is no room, of a sentence that says why."""


def needs_no_secret(path: str) -> bool:
    """Whether everybody may have what is at this path: the page itself, which asks for the token."""
    return path == PAGE or path.startswith(STATIC)


def router(watch: Watch, refusal: Refusal) -> APIRouter:
    """The routes of the console."""
    routes = APIRouter()

    @routes.get(PAGE)
    async def page(request: Request) -> Response:
        return _file(request, "console.html")

    @routes.get(STATIC + "{name:path}")
    async def static(request: Request, name: str) -> Response:
        return _file(request, name)

    @routes.get("/console/events")
    async def events() -> Response:
        return EventStream(watch, refusal("as many consoles are open as may be; close one, or try again later"))

    return routes


def _file(request: Request, name: str) -> Response:
    found = _content(name)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    content, kind, tag = found
    headers = {**_HEADERS, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, media_type=kind, headers=headers)


@cache
def _files() -> frozenset[str]:
    """What there is: nothing else is ever opened, whatever a path says."""
    return frozenset(
        each.relative_to(_FOLDER).as_posix() for each in _FOLDER.rglob("*") if each.is_file() and each.suffix in _TYPES
    )


@cache
def _read(name: str) -> tuple[bytes, str, str]:
    content = (_FOLDER / name).read_bytes()
    return content, _TYPES[Path(name).suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _content(name: str) -> tuple[bytes, str, str] | None:
    """Content, media type and entity tag of a file; None if there is none. Read when first asked for."""
    return _read(name) if name in _files() else None


class EventStream(Response):
    """A stream of the watch, until its viewer or the service leaves."""

    def __init__(self, watch: Watch, refusal: Response) -> None:
        """`refusal` is the answer instead if there is no room."""
        super().__init__(media_type="text/event-stream", headers={**_HEADERS, **_UNBUFFERED})
        self._watch = watch
        self._refusal = refusal
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Nothing runs any more when this returns."""
        if not self._watch.has_room:
            await self._refusal(scope, receive, send)
            return
        with self._watch.viewing():
            await self._show(receive, send)

    async def _show(self, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send), name="console stream")
        leaving = asyncio.create_task(_left(receive), name="console viewer")
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            await ended(sending)
            await ended(leaving)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        stream = self._watch.stream()
        try:
            async for events in stream:
                await send({"type": "http.response.body", "body": events, "more_body": True})
        finally:
            await stream.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
