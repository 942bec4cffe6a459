"""What becomes of stored events that no lane gets: too old, or of a sink that is no more."""

import asyncio
import random
import time
from collections.abc import Sequence

from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Terms
from service.delivery.route import Leg, Route
from service.journal import record
from service.journal.feeder import Feeder
from service.journal.ranges import Ranges
from service.journal.reader import Row
from service.telemetry.meter import Meter
from tests.flow.scripted import Faults, ScriptedSink, event, lane

EVENTS = 5


class Told:
    """The books of a journal with one row."""

    max_age = 60.0

    def __init__(self, row: Row) -> None:
        self.row = row
        self.done = Ranges()
        self.flaws: list[str] = []

    async def rows(self, stream: int, position: int, most: int) -> list[Row]:
        """The row, if it has that position or what comes after."""
        return [self.row] if position <= self.row.last else []

    def settled(self, leg: int, first: int, last: int) -> None:
        """Note it."""
        self.done.add(first, last)

    def damaged(self, route: str, row: Row, why: str) -> None:
        """Note it."""
        self.flaws.append(why)


class World:
    """One feeder, its lane and the dead letters' lane."""

    def __init__(self, age: float, sound: bool = True, gone: str | None = None, settled: Sequence[int] = ()) -> None:
        self.meter = Meter()
        self.sink, self.grave = (ScriptedSink(Faults(seconds=0.0), random.Random(1)) for _ in range(2))
        self.grave.limits = type(self.grave.limits)(10, 200_000, 100_000)
        self.lane, self.dead = lane(self.sink, self.meter, "lake"), lane(self.grave, self.meter, "dead")
        letters = DeadLetters(self.dead)
        body = record.encode([[event(number) for number in range(EVENTS)]])
        self.books = Told(Row(1, EVENTS, time.time() - age, body, sound))
        leg = Leg(
            self.dead if gone else self.lane, Terms("r", required=True, patient=True, graveyard=letters), "original"
        )
        route = Route("r", (leg,), dead_letters=letters)
        done = Ranges((each, each) for each in settled)
        self.feeder = Feeder(self.books, route, leg, 1, 1, done, gone)

    async def run(self, until: int) -> None:
        """Hand over what is stored, until so many events are settled."""
        self.feeder.begin(EVENTS)
        async with asyncio.timeout(10):
            while self.books.done.count(EVENTS) < until:
                await asyncio.sleep(0.005)
        self.feeder.stop()
        await asyncio.gather(self.lane.abandon(), self.dead.abandon())


async def test_what_is_stored_is_delivered_but_for_what_was_settled_before() -> None:
    world = World(age=1.0, settled=(2, 4))
    await world.run(3)
    assert set(world.sink.taken) == {"e0", "e2", "e4"}
    assert list(world.books.done) == [(1, 1), (3, 3), (5, 5)]


async def test_what_is_too_old_is_a_dead_letter_of_its_sink_and_counted_there() -> None:
    world = World(age=61.0)
    await world.run(EVENTS)
    assert not world.sink.taken
    assert set(world.grave.taken) == {f"e{number}/lake" for number in range(EVENTS)}
    assert world.meter.lane_settled["lake", "r", "dead_lettered", "too_old"] == EVENTS
    assert world.meter.lane_received["lake", "r"] == EVENTS
    assert world.meter.lane_settled["dead", "r", "delivered", ""] == EVENTS


async def test_what_is_of_a_sink_that_is_no_more_becomes_dead_letters_in_its_name() -> None:
    world = World(age=1.0, gone="pond")
    await world.run(EVENTS)
    assert set(world.grave.taken) == {f"e{number}/pond" for number in range(EVENTS)}
    assert {sink for sink, _ in world.meter.lane_received} == {"dead"}


async def test_damaged_events_are_counted_but_for_what_was_settled_before_and_stay() -> None:
    world = World(age=1.0, sound=False, settled=(2,))
    world.feeder.begin(EVENTS)
    async with asyncio.timeout(10):
        while not world.books.flaws:
            await asyncio.sleep(0.005)
    assert world.feeder.unreadable == EVENTS - 1
    assert not world.books.done
    await world.run(0)
