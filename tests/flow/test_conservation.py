"""Random events, routes, limits and faults through the whole pipeline: whatever happens, the books balance."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Terms
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.delivery.route import Leg, Route
from service.errors import Busy, TooLarge
from service.receipt import Fate, Receipt
from service.sinks.contract import Limits
from service.telemetry.meter import Meter
from tests.flow.scripted import Faults, ScriptedSink, all_settled, assert_conserved, event, intake, lane
from tests.flow.simulated import run

shares = st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0])
faults = st.builds(
    Faults,
    throttled=shares,
    rejected=shares,
    call_fails=shares,
    raises=shares,
    hangs=st.sampled_from([0.0, 0.0, 0.2]),
    wrong_length=st.sampled_from([0.0, 0.0, 0.3]),
    seconds=st.sampled_from([0.0, 0.05, 2.0]),
)


@dataclass
class World:
    """A pipeline of two routes over three lanes and a dead-letter lane."""

    meter: Meter
    lanes: dict[str, Lane]
    sinks: dict[str, ScriptedSink]
    pipeline: Pipeline


def world(plans: list[Faults], seed: int, linger: str, dead_letter: bool) -> World:
    meter = Meter()
    rng = random.Random(seed)
    sinks = {name: ScriptedSink(plan, random.Random(rng.random())) for name, plan in zip("abcd", plans, strict=True)}
    sinks["d"].limits = Limits(batch_events=5, batch_bytes=100_000, event_bytes=50_000)
    lanes = {
        name: lane(sink, meter, name, seed, memory="64KiB", linger=linger, concurrency=2)
        for name, sink in sinks.items()
    }
    letters = DeadLetters(lanes["d"]) if dead_letter else None

    def leg(route: str, name: str, required: bool) -> Leg:
        return Leg(lanes[name], Terms(route, required, patient=False, graveyard=letters), "original")

    routes = {
        "r": Route("r", (leg("r", "a", True), leg("r", "b", True)), dead_letters=letters),
        "s": Route("s", (leg("s", "b", True), leg("s", "c", False)), dead_letters=letters),
    }
    pipeline = Pipeline(routes, lanes, [letters] if letters else [])
    return World(meter, lanes, sinks, pipeline)


async def live(w: World, seed: int, requests: int, drain_at_once: bool) -> list[tuple[float, Receipt, list[int]]]:
    loop = asyncio.get_running_loop()
    rng = random.Random(seed)
    taken: list[tuple[float, Receipt, list[int]]] = []
    number = 0
    for _ in range(requests):
        route = w.pipeline.routes[rng.choice("rs")]
        numbers = list(range(number, number + rng.randint(1, 12)))
        number = numbers[-1] + 1
        events = [event(n, rng.choice([10, 500, 4000]), route.name) for n in numbers]
        before = {name: each.held_events for name, each in w.lanes.items()}
        try:
            receipt = w.pipeline.accept(intake(route, events))
        except Busy as busy:
            wait = busy.retry_after
            assert wait >= 1
            assert before == {name: each.held_events for name, each in w.lanes.items()}
            await asyncio.sleep(rng.choice([0.0, wait]))
            continue
        taken.append((loop.time(), receipt, numbers))
        assert_conserved(w.meter, list(w.lanes.values()))
        await asyncio.sleep(rng.choice([0.0, 0.0, 0.01, 1.0]))
    if not drain_at_once:
        for _, receipt, _ in taken:
            await all_settled(receipt)
    await w.pipeline.drain(20.0)
    return taken


def check_answers(w: World, taken: list[tuple[float, Receipt, list[int]]]) -> None:
    sent_at: dict[str, list[tuple[float, str]]] = {}
    for name, sink in w.sinks.items():
        for at, ids in sink.calls:
            for identity in ids:
                sent_at.setdefault(identity, []).append((at, name))
    for accepted_at, receipt, numbers in taken:
        assert receipt.done
        for index, number in enumerate(numbers):
            failed = receipt.failures(index)
            for name in receipt.lanes[index]:
                taken_times = w.sinks[name].taken[f"e{number}"]
                if name not in failed:
                    assert taken_times >= 1, "answered as delivered, but it is not there"
                elif not failed[name].may_duplicate:
                    assert taken_times == 0, "said to be nowhere, but it is there"
            for at, name in sent_at.get(f"e{number}", []):
                if name in receipt.lanes[index]:
                    assert at + 8 <= accepted_at + 20 + 1e-6, "a call could outlive its event's deadline"


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    plans=st.lists(faults, min_size=4, max_size=4),
    seed=st.integers(0, 2**32),
    requests=st.integers(1, 30),
    linger=st.sampled_from(["0s", "100ms"]),
    dead_letter=st.booleans(),
    drain_at_once=st.booleans(),
)
def test_each_event_has_one_outcome_per_lane_and_the_books_balance(
    plans: list[Faults],
    seed: int,
    requests: int,
    linger: str,
    dead_letter: bool,
    drain_at_once: bool,
) -> None:
    async def main() -> None:
        w = world(plans, seed, linger, dead_letter)
        taken = await live(w, seed, requests, drain_at_once)
        check_answers(w, taken)
        assert_conserved(w.meter, list(w.lanes.values()))
        for each in w.lanes.values():
            assert each.held_events == 0
            assert each.held_bytes == 0
            assert not each.calls
        fates = Counter[str]()
        for (sink, _, fate, _), count in w.meter.lane_settled.items():
            fates[f"{sink}:{fate}"] += count
            if sink in "ab":
                assert fate != Fate.DROPPED.value, "only best-effort lanes drop"
            if not dead_letter:
                assert fate != Fate.DEAD_LETTERED.value

    run(main())


def test_a_request_that_could_not_fit_an_empty_lane_is_too_large_not_busy() -> None:
    async def main() -> None:
        w = world([Faults()] * 4, 1, "0s", True)
        route = w.pipeline.routes["r"]
        events = [event(n, 4000) for n in range(30)]
        with pytest.raises(TooLarge) as caught:
            w.pipeline.accept(intake(route, events))
        assert caught.value.members["limit"] == 65536
        assert all(not each.held_events for each in w.lanes.values())
        await w.pipeline.drain(1)

    run(main())
