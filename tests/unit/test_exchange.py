"""An exchange and its connection: when the next request may begin."""

import asyncio
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

from service.errors import Busy
from service.http.answer import Answer
from service.http.exchange import Exchange
from service.http.pending import Pending
from service.http.turns import Pieces


class Wire:
    """A connection whose client reads when it is told to."""

    to_leave = False

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.log: list[str] = []
        self._written: list[Callable[[], None]] = []

    def write(self, status: bytes, head: bytes, body: bytes, written: Callable[[], None]) -> None:
        assert status.startswith((b"HTTP/1.1 503", b"HTTP/1.1 500")), (status, head, body)
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
    ingest = SimpleNamespace(pieces=Pieces())
    exchanges: Any = SimpleNamespace(admission=admission, ingest=ingest, forget=lambda exchange: None)
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


class _Long(Pending):
    """Its answer is made once it is `ready`."""

    is_long = True
    ready = False

    def __init__(self) -> None:
        """It has no events."""

    def forget(self) -> None:
        return

    def answering(self) -> Generator[None, None, Answer]:
        while not self.ready:
            yield
        return Answer(503, b"", "text/plain")


class _Defective(_Long):
    def answering(self) -> Generator[None, None, Answer]:
        yield
        raise ZeroDivisionError


async def test_a_long_answer_that_cannot_be_made_is_500_and_the_end_of_the_port_does_not_wait_for_it() -> None:
    wire = Wire()
    exchange = refused(wire)
    exchange.more_body = False
    exchange._pending = _Defective()
    exchange.respond()
    exchange.end()
    wire.read()
    assert wire.log == ["released", "next, kept True"]


async def test_while_a_long_answer_is_made_others_run() -> None:
    wire = Wire()
    exchange = refused(wire)
    exchange.more_body = False
    pending = _Long()
    exchange._pending = pending
    exchange.respond()
    assert not wire._written, "a piece was done"
    pending.ready = True
    async with asyncio.timeout(30):
        while not wire._written:
            await asyncio.sleep(0)
    wire.read()
    assert wire.log == ["released", "next, kept True"]
