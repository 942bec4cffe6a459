"""What becomes of stored events that no lane gets, and how many a lane gets that others keep full."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any

from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Entry, Terms
from service.delivery.route import Leg, Route
from service.journal import record, share
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

    def __init__(
        self,
        age: float,
        sound: bool = True,
        gone: str | None = None,
        settled: Sequence[int] = (),
        told: int = EVENTS,
        **settings: Any,
    ) -> None:
        """`told`: so many events the row says it has. `settings`: of the lane."""
        self.meter = Meter()
        self.sink, self.grave = (ScriptedSink(Faults(seconds=0.0), random.Random(1)) for _ in range(2))
        self.grave.limits = type(self.grave.limits)(10, 200_000, 100_000)
        self.lane, self.dead = lane(self.sink, self.meter, "lake", **settings), lane(self.grave, self.meter, "dead")
        letters = DeadLetters(self.dead)
        body = record.encode([[event(number) for number in range(EVENTS)]])
        self.books = Told(Row(1, told, time.time() - age, body, sound))
        leg = Leg(
            self.dead if gone else self.lane, Terms("r", required=True, patient=True, graveyard=letters), "original"
        )
        route = Route("r", (leg,), dead_letters=letters)
        done = Ranges((each, each) for each in settled)
        self.feeder = Feeder(self.books, route, leg, 1, 1, done, gone)

    async def run(self, until: int) -> None:
        """Hand over what is stored, until so many events are settled."""
        self.feeder.begin(EVENTS)
        async with asyncio.timeout(30):
            while self.books.done.count(EVENTS) < until:
                await asyncio.sleep(0.005)
        self.feeder.stop()
        await asyncio.gather(self.lane.abandon(), self.dead.abandon())


async def test_what_is_stored_is_delivered_but_for_what_was_settled_before() -> None:
    world = World(age=1.0, settled=(2, 4))
    await world.run(3)
    assert set(world.sink.taken) == {"e0", "e2", "e4"}
    assert list(world.books.done) == [(1, 1), (3, 3), (5, 5)]


async def test_what_would_grow_too_old_during_a_call_is_sent_all_the_same() -> None:
    world = World(age=1.0, call_timeout="100s", patience="300s")
    await world.run(EVENTS)
    assert len(world.sink.taken) == EVENTS
    assert not world.grave.taken


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
    async with asyncio.timeout(30):
        while not world.books.flaws:
            await asyncio.sleep(0.005)
    assert world.feeder.unreadable == EVENTS - 1
    assert not world.books.done
    await world.run(0)


async def test_a_row_that_lies_about_its_events_is_damaged() -> None:
    world = World(age=1.0, told=EVENTS + 1)
    world.feeder.begin(EVENTS + 1)
    async with asyncio.timeout(30):
        while not world.books.flaws:
            await asyncio.sleep(0.005)
    assert world.books.flaws == [f"there are {EVENTS} in the row"]
    assert world.feeder.unreadable == EVENTS + 1
    await world.run(0)


async def test_what_has_no_key_for_a_sink_that_keeps_order_by_now_says_so_in_its_dead_letter() -> None:
    world = World(age=1.0, order="key")
    await world.run(EVENTS)
    assert world.meter.lane_settled["lake", "r", "dead_lettered", "refused_content"] == EVENTS


async def test_a_lane_that_others_keep_more_than_half_full_takes_a_few_stored_events_all_the_same() -> None:
    world = World(age=1.0, memory="64KiB")
    world.sink.dead = True
    others = [event(number, size=8000) for number in range(100, 105)]
    terms = Terms("r", required=True, patient=False)
    world.lane.put([Entry(each, each, len(each.body), each.charge, terms, "lake") for each in others])
    assert world.lane.held_bytes > world.lane.capacity // share.MOST
    world.feeder.begin(EVENTS)
    async with asyncio.timeout(30):
        while not world.lane.books.stored_events:
            await asyncio.sleep(0.005)
    await world.run(0)


async def test_a_lane_that_others_keep_full_takes_none() -> None:
    world = World(age=1.0, memory="64KiB")
    world.sink.dead = True
    one = event(100, size=100)
    charge = world.lane.capacity
    terms = Terms("r", required=True, patient=False)
    world.lane.put([Entry(one, one, len(one.body), charge, terms, "lake")])
    world.feeder.begin(EVENTS)
    assert world.feeder._feeding is None
    await world.run(0)
