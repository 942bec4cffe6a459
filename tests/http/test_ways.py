"""What only one of the two ways of a request could get wrong: that it is taken, what it holds, what a defect does."""

import asyncio
import gc

import pytest

from service.event import Event
from service.sinks.contract import Pace
from service.sources.exchange import Exchange
from service.sources.ingest import Turns
from tests.http.client import request
from tests.http.running import Service
from tests.http.scripted import Scripted

CONFIGURATION = """
server: {memory: 32MiB, request_timeout: 3s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 2s, call_timeout: 400ms}
  dead: {type: "tests.http.scripted:Scripted", patience: 2s, call_timeout: 400ms}
  defective: {type: "tests.http.test_ways:Defective", patience: 1s, call_timeout: 400ms}
routes:
  orders: {to: [main], dead_letter: {sink: dead, invalid: true}}
  broken: {to: [defective]}
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = b'{"number":1}'


class Defective(Scripted):
    """A sink with a defect that shows before its lane takes anything."""

    generation = 0
    pace = Pace(0, 0)

    def partition(self, event: Event) -> int:
        """Fails for events that say so."""
        return 1 // (b"boom" not in event.body)


def alive() -> list[Exchange]:
    """The requests of the short way that somebody holds on to."""
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is Exchange]


async def test_a_plain_request_takes_the_way_that_is_configured(service: Service, way: str) -> None:
    sink = service.sinks["main"]
    sink.hold()
    sending = asyncio.create_task(service.post("/v1/orders", GOOD))
    await sink.called()
    under_asgi = [task for task in asyncio.all_tasks() if "run_asgi" in str(task.get_coro())]
    exchanges = alive()
    sink.deliver()
    assert (await sending).status == 200
    assert (len(under_asgi), len(exchanges)) == ((0, 1) if way == "short" else (1, 0))


async def test_an_answered_request_is_not_held_by_a_dead_letter_that_hangs(service: Service) -> None:
    service.sinks["dead"].hang()
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", b"[]", {"Content-Type": "application/x-ndjson"}, content_type=""))
        answer = await connection.answer()
        assert answer.status == 422
        assert "dead_lettered" not in answer.results[0]["error"]
        await connection.send(request("/nothing", b""))
        assert (await connection.answer()).status == 404
    assert not alive()
    service.sinks["dead"].deliver()


async def test_a_defect_is_500_holds_nothing_and_the_service_lives_on(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async with await service.connect() as connection:
        await connection.send(request("/v1/broken", b'{"x":"boom"}'))
        answer = await connection.answer()
        assert (answer.status, answer.code) == (500, "internal")
        assert (answer.json["retryable"], answer.json["may_duplicate"]) == (True, True)
        assert "ZeroDivisionError" in caplog.text
        caplog.clear()
    await service.idle()
    assert (await service.post("/v1/broken", GOOD)).status == 200


async def test_large_bodies_take_turns_in_their_order() -> None:
    turns = Turns(1)
    began: list[int] = []
    turns.take(lambda: began.append(1))
    waiting = asyncio.create_task(turns.wait())
    given_up = asyncio.create_task(turns.wait())
    await asyncio.sleep(0)
    turns.take(lambda: began.append(4))
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert began == [1]
    assert not waiting.done()
    turns.leave()
    await waiting
    assert began == [1]
    turns.leave()
    async with asyncio.timeout(5):
        while began != [1, 4]:
            await asyncio.sleep(0)
