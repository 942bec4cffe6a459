"""A drain leaves what is stored where it is: whichever lane has it, nobody waits for a destination that is away."""

import asyncio
import random

from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Entry, Terms
from service.delivery.fallback import FallbackLane
from service.delivery.pipeline import Pipeline
from service.outcome import Reason
from service.receipt import Receipt
from service.sinks.contract import Limits
from service.telemetry.meter import Meter
from tests.flow.scripted import REQUIRED, Faults, ScriptedSink, assert_conserved, event, lane
from tests.flow.simulated import run

STORED = Terms("r", required=True, patient=True, stored=True)


def away() -> ScriptedSink:
    sink = ScriptedSink(Faults(), random.Random(1), Limits(10, 100_000, 50_000))
    sink.dead = True
    return sink


def entry(number: int, terms: Terms) -> Entry:
    one = event(number)
    return Entry(one, one, len(one.body), one.charge, terms, "s", Receipt([("s",)]), 0)


async def drained(pipeline: Pipeline) -> tuple[bool, float]:
    """Whether all is safe, and the seconds that took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    return await pipeline.drain(20), loop.time() - began


def test_what_is_stored_and_was_diverted_is_as_safe_in_the_fallbacks_lane() -> None:
    async def main() -> None:
        meter = Meter()
        first, second = lane(away(), meter, "s"), lane(away(), meter, "f")
        first.fallback = FallbackLane(second, "original")
        first.put([entry(number, STORED) for number in range(20)])
        await asyncio.sleep(60)
        assert second.held_events
        clean, seconds = await drained(Pipeline({}, {"s": first, "f": second}))
        assert clean
        assert seconds < 1
        assert_conserved(meter, [first, second])

    run(main())


def test_so_is_one_whose_dead_letter_is_not_written_yet() -> None:
    async def main() -> None:
        meter = Meter()
        first, dead = lane(ScriptedSink(Faults(), random.Random(1)), meter, "s"), lane(away(), meter, "d")
        letters = DeadLetters(dead)
        ends: list[bool] = []
        letters.bury(entry(1, STORED), "s", Reason.TOO_OLD, "", ends.append)
        await asyncio.sleep(60)
        assert dead.held_events == 1
        clean, seconds = await drained(Pipeline({}, {"s": first, "d": dead}, [letters]))
        assert clean
        assert seconds < 1
        assert ends == [False]

    run(main())


def test_what_is_nowhere_else_is_awaited_and_told() -> None:
    async def main() -> None:
        meter = Meter()
        first = lane(away(), meter, "s", patience="60s")
        first.put([entry(1, STORED), entry(2, REQUIRED)])
        await asyncio.sleep(5)
        clean, seconds = await drained(Pipeline({}, {"s": first}))
        assert not clean
        assert seconds >= 10

    run(main())
