"""An exchange and its connection: when the next request may begin."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from service.errors import Busy
from service.http.exchange import Exchange


class Wire:
    """A connection whose client reads when it is told to."""

    to_leave = False

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.log: list[str] = []
        self._written: list[Callable[[], None]] = []

    def write(self, status: bytes, head: bytes, body: bytes, written: Callable[[], None]) -> None:
        assert status.startswith(b"HTTP/1.1 503"), (status, head, body)
        self._written.append(written)

    def read(self) -> None:
        """The client has read all."""
        self._written.pop()()

    def answered(self, keep_alive: bool) -> None:
        self.log.append(f"next, kept {keep_alive}")

    def part(self) -> None:
        self.log.append("parted")


def refused(wire: Wire) -> Exchange:
    """One whose lane has no room for its body."""
    admission: Any = SimpleNamespace(
        refusal=lambda target, hold: Busy("no room", 1.0),
        server=SimpleNamespace(body_timeout=15.0),
        observe=lambda *observed: None,
    )
    hold: Any = SimpleNamespace(charge=lambda size: None, end=lambda: wire.log.append("released"))
    head: Any = SimpleNamespace(route="r", target=None, request_id=None, gate=None)
    exchanges: Any = SimpleNamespace(admission=admission, forget=lambda exchange: None)
    return Exchange(wire, exchanges, head, hold, "127.0.0.1", True)


async def test_a_body_that_is_refused_unread_makes_way_once_it_is_over() -> None:
    wire = Wire()
    exchange = refused(wire)
    exchange.await_body()
    wire.read()
    assert wire.log == ["released"], "the rest of the body is still to come"
    exchange.feed(b"dropped")
    exchange.complete()
    assert wire.log == ["released", "next, kept True"]


async def test_a_body_that_is_over_before_its_refusal_is_read_makes_way_once() -> None:
    wire = Wire()
    exchange = refused(wire)
    exchange.await_body()
    exchange.complete()
    assert wire.log == []
    wire.read()
    assert wire.log == ["released", "next, kept True"]


async def test_a_connection_that_is_lost_in_the_midst_of_a_refused_body_is_let_go() -> None:
    wire = Wire()
    exchange = refused(wire)
    exchange.await_body()
    wire.read()
    exchange.lose()
    assert wire.log == ["released"]
    assert exchange._timer is None
