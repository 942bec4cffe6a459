"""How a lane stands: the worst of what its counters and gauges of the last seconds say, why, and since when."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from service.delivery.breaker import State as BreakerState
from service.delivery.standing import WINDOW_SECONDS, Standings
from service.outcome import Reason
from service.telemetry.meter import LaneTimes, Meter
from service.telemetry.standing import Standing, State, worst

EPOCH = 1_700_000_000.0


@dataclass
class Lane:
    """As much of a lane as is looked at."""

    name: str = "lake"
    capacity: int = 1000
    held_bytes: int = 0
    oldest: float = 0.0
    breaker: Any = field(
        default_factory=lambda: SimpleNamespace(state=BreakerState.CLOSED, reason=None, failures=0, since=0.0)
    )
    settings: Any = field(default_factory=lambda: SimpleNamespace(slow_seconds=8.0))

    def has_room(self, charge: int) -> bool:
        """Whether so many bytes more fit."""
        return self.held_bytes + charge <= self.capacity

    def oldest_age(self) -> float:
        """Seconds."""
        return self.oldest


class World:
    """One lane, what it counts, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.meter = Meter()
        self.meter.lanes["lake"] = LaneTimes()
        self.lane = Lane()
        self.standings = Standings(self.meter)
        self.now = 0.0
        monkeypatch.setattr("service.delivery.standing.time", lambda: EPOCH + self.now)
        loop = SimpleNamespace(time=lambda: self.now)
        monkeypatch.setattr("service.delivery.standing.asyncio", SimpleNamespace(get_running_loop=lambda: loop))

    def deliver(self, events: int) -> None:
        self.meter.lanes["lake"].event_retries.observe(0, events)

    def retry(self, reason: str, events: int) -> None:
        self.meter.lane_retries["lake", reason] += events

    def fail(self, reason: Reason | None, state: str = "closed", since: float = 0.0) -> None:
        failures = 0 if reason is None else 3
        self.lane.breaker = SimpleNamespace(state=BreakerState(state), reason=reason, failures=failures, since=since)

    def at(self, second: float) -> Standing:
        self.now = second
        self.standings.look([self.lane], second)  # type: ignore[list-item]  # as far as it is looked at
        return self.standings.of("lake")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(monkeypatch)
    world.at(0)
    return world


def test_a_lane_that_does_nothing_is_healthy(world: World) -> None:
    assert world.at(4) == Standing(State.HEALTHY, EPOCH, None, [])


def test_the_first_throttled_events_show_at_the_next_look(world: World) -> None:
    world.deliver(100)
    world.retry("throttled", 30)
    found = world.at(1)
    assert (found.state, found.reason) == (State.THROTTLED, "throttled")
    assert found.words == ["30 of 130 events tried in 5 s throttled"]


def test_a_limit_that_is_only_touched_is_no_trouble_unless_events_wait_for_it(world: World) -> None:
    world.deliver(1000)
    world.retry("throttled", 2)
    assert world.at(1).state is State.HEALTHY
    world.lane.oldest = 1.5
    assert world.at(2).state is State.THROTTLED


def test_being_throttled_is_told_while_it_lasts_and_for_the_window_after(world: World) -> None:
    for second in range(1, 20):
        world.deliver(100)
        world.retry("throttled", 20)
        assert world.at(second).state is State.THROTTLED
    states = []
    for second in range(20, 30):
        world.deliver(100)
        states.append(world.at(second).state)
    told = states.index(State.HEALTHY)
    assert WINDOW_SECONDS - 1 <= told <= WINDOW_SECONDS
    assert set(states[told:]) == {State.HEALTHY}
    assert len(world.standings._looks) <= WINDOW_SECONDS + 1


@pytest.mark.parametrize(
    ("reason", "breaker", "held", "oldest", "state", "why"),
    [
        (Reason.THROTTLED, "closed", 0, 0.0, State.THROTTLED, "throttled"),
        (Reason.TIMEOUT, "closed", 0, 0.0, State.FAILING, "timeout"),
        (Reason.TIMEOUT, "open", 0, 0.0, State.OPEN, "timeout"),
        (Reason.TIMEOUT, "half_open", 0, 0.0, State.OPEN, "timeout"),
        (Reason.THROTTLED, "open", 0, 0.0, State.OPEN, "throttled"),
        (None, "closed", 900, 0.0, State.HEALTHY, None),
        (None, "closed", 901, 0.0, State.FULL, None),
        (Reason.TIMEOUT, "open", 950, 0.0, State.FULL, "timeout"),
        (None, "closed", 0, 8.0, State.HEALTHY, None),
        (None, "closed", 0, 8.1, State.SLOW, None),
        (Reason.TIMEOUT, "closed", 0, 9.0, State.FAILING, "timeout"),
        (Reason.THROTTLED, "closed", 0, 9.0, State.SLOW, "throttled"),
    ],
)
def test_gauges_have_a_word_each_the_worst_is_told_and_what_is_at_the_bottom_of_it(
    world: World, reason: Reason | None, breaker: str, held: int, oldest: float, state: State, why: str | None
) -> None:
    world.fail(reason, breaker)
    world.lane.held_bytes, world.lane.oldest = held, oldest
    found = world.at(1)
    assert (found.state, found.reason) == (state, why)


def test_all_that_holds_is_said_the_worst_first(world: World) -> None:
    world.retry("throttled", 4)
    world.fail(Reason.ACCESS_DENIED, "open")
    world.lane.held_bytes, world.lane.oldest = 990, 11.0
    assert world.at(1).words == [
        "99% of its memory is taken",
        "nothing but failures: access_denied; it is tried every 2 s",
        "its oldest event has waited 11 s",
        "4 of 4 events tried in 5 s throttled",
    ]


def test_a_failure_between_two_looks_is_told_for_the_whole_window(world: World) -> None:
    world.fail(Reason.UNREACHABLE)
    world.at(1)
    world.fail(None)
    found = world.at(4)
    assert (found.state, found.reason) == (State.FAILING, "unreachable")
    assert world.at(1 + WINDOW_SECONDS + 0.1).state is State.HEALTHY


def test_more_failures_than_deliveries_are_trouble_though_no_call_fails_whole(world: World) -> None:
    world.deliver(10)
    world.retry("internal", 8)
    world.retry("timeout", 2)
    assert world.at(1).state is State.HEALTHY
    world.retry("timeout", 1)
    found = world.at(2)
    assert (found.state, found.reason, found.words) == (State.FAILING, "internal", ["more events fail than succeed"])


def test_a_state_has_its_beginning_for_as_long_as_it_lasts(world: World) -> None:
    assert world.at(5).since == world.at(9).since == EPOCH
    world.lane.held_bytes = 999
    assert (world.at(10).state, world.at(14).since) == (State.FULL, EPOCH + 10)


def test_a_destination_fails_since_its_first_failure_whenever_it_is_looked_at(world: World) -> None:
    world.fail(Reason.TIMEOUT, since=3.0)
    assert world.at(7).since == EPOCH + 3
    world.fail(Reason.TIMEOUT, "open", since=3.0)
    assert (world.at(9).state, world.at(9).since) == (State.OPEN, EPOCH + 3)


def test_of_several_processes_the_worst_is_told_and_of_equals_the_one_that_lasts_longest() -> None:
    healthy, early, late = Standing(), Standing(State.SLOW, 1.0), Standing(State.SLOW, 2.0)
    full = Standing(State.FULL, 9.0)
    assert worst([healthy, late, early]) is early
    assert worst([early, full, late]) is full
    assert worst([healthy]) is healthy
