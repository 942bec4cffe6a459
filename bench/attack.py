"""One kind of rude client, as a process of its own: `python -m bench.attack NAME http://HOST:PORT [COUNT]`.

It prints one line of JSON once the attack is under way in full, and goes on until its stdin closes.
"""

import asyncio
import gzip
import json
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

BYTE_SECONDS: Final = 1.0
"""Between two bytes of a slow client."""
_AT_ONCE: Final = 100
"""Connections that are made at once."""
_JSON: Final = "application/json"
_LINES: Final = "application/x-ndjson"


def request(body: bytes, route: str = "orders", content_type: str = _JSON, coding: str = "") -> bytes:
    """A whole POST."""
    coded = f"Content-Encoding: {coding}\r\n" if coding else ""
    head = f"POST /v1/{route} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n{coded}Content-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * depth + b'""' + b"]" * depth + b"}"


_POST: Final = request(b'{"number":1}')
_HEAD: Final = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nX-Slow: "


@dataclass(frozen=True)
class Attack:
    """What it is, and how much of it there is."""

    title: str
    start: bytes
    """Sent at once on each connection."""
    count: int
    """Connections."""
    byte: bytes = b""
    """Then sent on each, again and again; nothing if empty."""
    rate: float = 0.0
    """Instead of all at once: connections a second, each left when it is answered."""


ATTACKS: Final = {
    "idle": Attack("10,000 connections that say nothing", b"", 10_000),
    "heads": Attack("2,000 heads, a byte a second", _HEAD, 2_000, b"y"),
    "bodies": Attack("2,000 bodies, a byte a second", _POST[:-12].replace(b": 12", b": 5000"), 2_000, b" "),
    "unread": Attack("500 long answers that nobody reads", request(b"[" + b"1," * 4_000 + b"1]"), 500),
    "pipelined": Attack("200 requests behind each other, 5 times a second", _POST * 200, 0, rate=5),
    "endless": Attack("heads without end, 20 a second", _HEAD + b"y" * 2**20, 0, rate=20),
    "rubbish": Attack("no HTTP, 50 times a second", b"\x16\x03\x01\x02\x00\x01" * 100, 0, rate=50),
    "smuggled": Attack(
        "two lengths, 50 a second", _POST.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"), 0, rate=50
    ),
    "bombs": Attack(
        "gzip bombs of 64 MiB, 2 a second", request(gzip.compress(b" " * 2**26, 9), coding="gzip"), 0, rate=2
    ),
    "deep": Attack("100,000 brackets, 10 a second", request(_nested(50_000)), 0, rate=10),
    "digits": Attack("numbers of 700,000 digits, 5 a second", request(b'{"n":' + b"9" * 700_000 + b"}"), 0, rate=5),
    "tiny": Attack("bodies of 5,000 tiny events, 2 a second", request(b"{}\n" * 5_000, content_type=_LINES), 0, rate=2),
    "millions": Attack(
        "bodies of a million lines, 2 a second", request(b"{}\n" * 1_000_000, content_type=_LINES), 0, rate=2
    ),
    "alternatives": Attack(
        "data 40 deep under a schema of alternatives, 20 a second", request(_nested(40), "trees"), 0, rate=20
    ),
    "unlisted": Attack(
        "100,000 nulls under alternatives, 2 a second",
        request(b'{"a":[' + b"null," * 100_000 + b"0]}", "trees"),
        0,
        rate=2,
    ),
}


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _held(url: str, attack: Attack, begun: Callable[[], None], gate: asyncio.Semaphore) -> None:
    """One connection of many, made again when it is ended."""
    while True:
        with suppress(OSError):
            async with gate:
                host, _, port = url.removeprefix("http://").partition(":")
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(attack.start)
                begun()
            try:
                while attack.byte and not writer.is_closing():
                    await asyncio.sleep(BYTE_SECONDS)
                    writer.write(attack.byte)
                    if reader.at_eof():
                        break
                if not attack.byte:
                    await (asyncio.Event().wait() if attack.start else reader.read())
            finally:
                writer.transport.abort()
        await asyncio.sleep(BYTE_SECONDS)


async def _hold(url: str, attack: Attack, ready: Callable[[], Awaitable[None]], count: int) -> None:
    """All of them at once."""
    left, all_begun, gate = count, asyncio.Event(), asyncio.Semaphore(_AT_ONCE)

    def begun() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            all_begun.set()

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(_held(url, attack, begun, gate))
        await all_begun.wait()
        await ready()


async def _once(url: str, attack: Attack) -> None:
    with suppress(OSError, TimeoutError):
        async with _connection(url) as (reader, writer), asyncio.timeout(30):
            writer.write(attack.start)
            await reader.readuntil(b"\r\n\r\n")


async def _repeat(url: str, attack: Attack, ready: Callable[[], Awaitable[None]]) -> None:
    """So many a second, whatever becomes of them."""
    await _once(url, attack)
    await ready()
    loop = asyncio.get_running_loop()
    due = loop.time()
    async with asyncio.TaskGroup() as group:
        while True:
            due += 1 / attack.rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            group.create_task(_once(url, attack))


async def _run(name: str, url: str, count: int | None) -> None:
    attack = ATTACKS[name]

    async def ready() -> None:
        print(json.dumps({"attack": name}), flush=True)

    if attack.rate:
        running = asyncio.create_task(_repeat(url, attack, ready))
    else:
        running = asyncio.create_task(_hold(url, attack, ready, count or attack.count))
    told = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    running.cancel()
    await asyncio.wait({running})


def main() -> None:
    """Until stdin closes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    name, url, *count = sys.argv[1:]
    asyncio.run(_run(name, url, int(count[0]) if count else None))


if __name__ == "__main__":
    main()
