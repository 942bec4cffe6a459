"""Duplicates: known for a while, joined while under way, let go when the first one fails."""

from dataclasses import replace

from service.outcome import Reason
from service.receiving.dedupe import Dedupe, DedupeWindow
from service.receiving.flow import Flow
from service.receiving.identities import Identities
from tests.flow.simulated import run
from tests.unit.receiving_world import ReceivingWorld, message, numbers, raw

IDENTITY = ("/test", "e1")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _never(_: bool) -> None:
    raise AssertionError("it is told of an event that is no duplicate")


def test_what_was_delivered_is_known_for_the_window_and_no_longer() -> None:
    clock = Clock()
    known = DedupeWindow(Dedupe(window=10), clock)
    assert not known.meet(IDENTITY, _never)
    known.settled(IDENTITY, "f")
    told: list[bool] = []
    clock.now = 9.9
    assert known.meet(IDENTITY, told.append)
    assert told == [True]
    clock.now = 10.0
    assert not known.meet(IDENTITY, _never)


def test_only_so_many_are_known_and_the_oldest_go() -> None:
    known = DedupeWindow(Dedupe(most=2), Clock())
    for number in range(3):
        assert not known.meet(("/test", f"e{number}"), _never)
        known.settled(("/test", f"e{number}"), "f")
    assert not known.meet(("/test", "e0"), _never)
    assert known.meet(("/test", "e2"), lambda _: None)


def test_what_came_by_a_flow_that_goes_elsewhere_is_forgotten() -> None:
    known = DedupeWindow(Dedupe(), Clock())
    for flow in ("f", "g"):
        assert not known.meet(("/test", flow), _never)
        known.settled(("/test", flow), flow)
    known.forget("f")
    assert not known.meet(("/test", "f"), _never)
    assert known.meet(("/test", "g"), lambda _: None)


def test_a_flow_that_is_over_is_not_kept_for_what_is_known() -> None:
    known = DedupeWindow(Dedupe(), Clock())
    own = Identities(known, "flow")
    assert not own.meet(IDENTITY, 0, _never)
    own.settled([0])
    assert known._known[IDENTITY][1] == "flow", "a name, and not the flow with all that it holds"


def test_a_duplicate_of_one_under_way_ends_as_that_one_does() -> None:
    async def main() -> None:
        world = ReceivingWorld(dedupe=True)
        world.good.hold()
        flow, other = world.flow(), world.flow("other")
        flow.offer([message(0, id="e0")])
        other.offer([message(1, id="e0"), message(2, id="e2")])
        await world.until(lambda: other.under_way == 2)
        assert world.ear.numbers == []
        world.good.deliver()
        await world.until(lambda: len(world.ear.numbers) == 3)
        assert numbers(world.good) == [0, 2]
        assert world.meter.source_deduplicated == {("incoming", "orders"): 1}

    run(main())


def test_a_duplicate_fails_with_the_first_and_comes_again() -> None:
    async def main() -> None:
        world = ReceivingWorld(dedupe=True)
        world.good.hang()
        flow, other = world.flow(), world.flow("other")
        flow.offer([message(0, id="e0")])
        other.offer([message(1, id="e0")])
        await world.until(lambda: other.under_way == 1)
        await world.lane.abandon()
        assert [why.reason for _, why in world.ear.failures] == [Reason.SHUTDOWN] * 2
        assert world.ear.numbers == []
        window = world.handover.dedupe
        assert window is not None
        assert not window.meet(("/test", "e0"), _never), "nobody has it: it is none any more"

    run(main())


def test_a_message_that_holds_an_event_twice_does_not_wait_for_itself() -> None:
    async def main() -> None:
        world = ReceivingWorld(dedupe=True)
        flow = world.flow()
        flow.offer([raw(b'[{"id":"e","number":0},{"id":"e","number":1}]')])
        await world.until(lambda: flow.settled_before == 1)
        assert numbers(world.good) == [0]

    run(main())


def test_a_refused_event_with_an_id_is_no_duplicate_of_itself_when_its_message_comes_again() -> None:
    async def main() -> None:
        world = ReceivingWorld(dedupe=True)
        world.good.reject()
        world.dead.hang()
        first = world.flow()
        first.offer([message(0, id="e0")])
        await world.until(lambda: world.dead.calls)
        first.close()
        again = world.flow("again")
        again.offer([message(0, id="e0")])
        await world.until(lambda: world.good.calls == 2)

    run(main())


def test_an_event_that_goes_to_two_routes_is_no_duplicate_on_the_second() -> None:
    async def main() -> None:
        world = ReceivingWorld(dedupe=True)
        first = world.flow()
        first.offer([message(0, id="e1")])
        await world.until(lambda: first.settled_before == 1)
        route = replace(world.handover.routes["orders"], name="others", source="")
        other = Flow("other", route, world.handover, world.ear)
        other.offer([message(1, id="e1")])
        await world.until(lambda: other.settled_before == 1)
        assert numbers(world.good) == [0, 1]

    run(main())
