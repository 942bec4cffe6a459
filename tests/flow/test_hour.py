"""An hour of simulated time with seeded faults of all kinds: shards, order, breaker, fallback, dead letters."""

import asyncio
import logging
import random
from dataclasses import replace

import pytest

from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Terms
from service.delivery.fallback import FallbackLane
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.delivery.route import Leg, Route
from service.errors import Busy
from service.receipt import Fate, Receipt
from service.sinks.contract import Limits, Pace
from service.telemetry.meter import Meter
from tests.flow.scripted import Faults, ScriptedSink, assert_conserved, event, intake, lane
from tests.flow.shards import Shards
from tests.flow.simulated import run

HOUR = 3600.0
SEEDS = range(50)


class Weather:
    """Changes what is wrong with every destination every few minutes."""

    def __init__(self, sinks: list[ScriptedSink], shards: Shards, rng: random.Random) -> None:
        self._sinks = sinks
        self._shards = shards
        self._rng = rng

    def change(self) -> None:
        rng = self._rng
        for sink in self._sinks:
            sink.dead = rng.random() < 0.15
            sink.faults = replace(
                Faults(),
                throttled=rng.choice([0, 0, 0.3]),
                rejected=sink.faults.rejected,
                call_fails=rng.choice([0, 0, 0.3, 0.9]),
                raises=rng.choice([0, 0, 0.2]),
                hangs=rng.choice([0, 0, 0.05]),
                wrong_length=rng.choice([0, 0, 0.1]),
                seconds=rng.choice([0.01, 0.05, 1.0]),
            )
        self._shards.rate = rng.choice([0.0, 1.0, 20.0, 1000.0])
        if rng.random() < 0.3:
            self._shards.shards = rng.randint(1, 8)
            self._shards.generation += 1

    def clear(self) -> None:
        for sink in self._sinks:
            sink.dead, sink.faults = False, Faults(rejected=sink.faults.rejected)
        self._shards.rate = 1000.0


class World:
    """Two routes: one to shards and an ordered sink with a fallback, one with a best-effort sink; dead letters."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.meter = Meter()
        self.shards = Shards(4, 1000, Pace(events=50, bytes=10**6), seed)
        small = Limits(batch_events=10, batch_bytes=20_000, event_bytes=10_000)
        self.sinks = {
            name: ScriptedSink(Faults(rejected=rejected), random.Random(rng.random()), limits=small)
            for name, rejected in (("ordered", 0.02), ("spare", 0.0), ("loose", 0.05))
        }
        self.sinks["dead"] = ScriptedSink(Faults(), random.Random(seed), limits=Limits(5, 200_000, 100_000))
        options = {"ordered": {"order": "key"}, "dead": {"memory": "128KiB"}}
        self.lanes: dict[str, Lane] = {
            name: lane(sink, self.meter, name, seed, **({"memory": "64KiB"} | options.get(name, {})))
            for name, sink in self.sinks.items()
        }
        config = self.lanes["loose"].settings
        self.lanes["shards"] = Lane("shards", self.shards, config, self.meter, random.Random(seed))
        self.lanes["ordered"].fallback = FallbackLane(self.lanes["spare"], "original")
        letters = DeadLetters(self.lanes["dead"])

        def leg(route: str, name: str, required: bool = True) -> Leg:
            terms = Terms(route, required, patient=False, graveyard=letters)
            return Leg(self.lanes[name], terms, "original")

        routes = {
            "main": Route("main", (leg("main", "shards"), leg("main", "ordered")), dead_letters=letters),
            "side": Route("side", (leg("side", "spare"), leg("side", "loose", False)), dead_letters=letters),
        }
        self.pipeline = Pipeline(routes, self.lanes, [letters])
        self.weather = Weather(list(self.sinks.values()), self.shards, rng)
        self.rng = rng

    async def live(self) -> list[tuple[Receipt, list[int], str]]:
        loop, rng = asyncio.get_running_loop(), self.rng
        taken: list[tuple[Receipt, list[int], str]] = []
        number, end, next_change = 0, loop.time() + HOUR, 0.0
        while loop.time() < end:
            if loop.time() >= next_change:
                self.weather.change()
                next_change = loop.time() + rng.uniform(60, 400)
            route = self.pipeline.routes[rng.choice(("main", "side"))]
            numbers = list(range(number, number + rng.randint(1, 6)))
            number += len(numbers)
            events = [event(n, rng.choice([50, 500]), route.name, key=str(n % 13)) for n in numbers]
            try:
                taken.append((self.pipeline.accept(intake(route, events)), numbers, route.name))
            except Busy as busy:
                await asyncio.sleep(busy.retry_after)
            await asyncio.sleep(rng.uniform(0, 30))
        return taken


@pytest.mark.parametrize("seed", SEEDS)
def test_after_an_hour_of_trouble_the_books_balance_and_every_answer_is_true(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)

    async def main() -> None:
        world = World(seed)
        taken = await world.live()
        assert_conserved(world.meter, list(world.lanes.values()))
        world.weather.clear()
        await asyncio.sleep(60)
        lanes = list(world.lanes.values())
        assert not any(each.held_events or each.calls for each in lanes), "when the weather clears all is settled"
        assert not any(each.breaker.failures for each in lanes), "and every destination is found again"
        for receipt, numbers, route in taken:
            assert receipt.done
            for index, number in enumerate(numbers):
                _check(world, receipt, index, f"e{number}", route)
        assert await world.pipeline.drain(20)
        assert_conserved(world.meter, lanes)
        fates = {(sink, fate) for sink, _, fate, _ in world.meter.lane_settled}
        assert not {(s, f) for s, f in fates if f == Fate.DROPPED and s != "loose"}, "only best effort drops"

    run(main())
    assert not [each.getMessage() for each in caplog.records], "no lane met a defect"


def _check(world: World, receipt: Receipt, index: int, name: str, route: str) -> None:
    failed = receipt.failures(index)
    places = {
        "shards": world.shards.taken[name],
        "ordered": world.sinks["ordered"].taken[name] + (world.sinks["spare"].taken[name] if route == "main" else 0),
        "spare": world.sinks["spare"].taken[name],
    }
    for each in receipt.lanes[index]:
        if each not in failed:
            assert places[each] >= 1, f"{name} was answered as delivered by {each}, and is not there"
        elif not failed[each].may_duplicate:
            assert places[each] == 0, f"{name} was said not to be at {each}, and is there"
