"""Quotas under a clock of their own: how much passes, what is told to who must wait, what a refused request costs."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.config.quotas import QuotasConfig
from service.errors import Busy, Code, TooLarge, TooMany
from service.quotas.bucket import EVENTS, Bucket
from service.quotas.quotas import Gate, Quotas, Toll
from service.telemetry.meter import Meter

RATE, BURST = 100.0, 2.0
STEPS = st.lists(st.tuples(st.floats(0, 5), st.floats(0.5, RATE * BURST)), min_size=1, max_size=40)
STARTS = st.floats(0, 1e7)
"""Of a monotonic clock: seconds since the machine has started."""


class Plain:
    """The bucket as it is told: tokens that come with time, and overflow."""

    def __init__(self, now: float) -> None:
        self.tokens = RATE * BURST
        self.at = now

    def allows(self, amount: float, now: float) -> bool:
        """Whether so many are there, or as many as ever."""
        self.tokens = min(RATE * BURST, self.tokens + RATE * (now - self.at))
        self.at = now
        return self.tokens >= min(amount, RATE * BURST)

    def give_back(self, amount: float) -> None:
        """What was taken was not used."""
        self.tokens = min(RATE * BURST, self.tokens + amount)

    def is_near(self, amount: float) -> bool:
        """Whether the answer hangs on how numbers are rounded."""
        return abs(self.tokens - min(amount, RATE * BURST)) < 1e-3


def bucket() -> Bucket:
    return Bucket("principal", EVENTS, RATE, BURST)


@given(start=STARTS, steps=STEPS, largest=st.sampled_from([1.0, 5.0]))
def test_no_window_sees_more_than_the_rate_and_one_burst(
    start: float, steps: list[tuple[float, float]], largest: float
) -> None:
    one, now = bucket(), start
    given: list[tuple[float, float]] = []
    for pause, amount in steps:
        now += pause
        if not one.wait(amount * largest, now):
            one.take(amount * largest, now)
            given.append((now, amount * largest))
    most = max([RATE * BURST, *(amount for _, amount in given)])
    for first, (began, _) in enumerate(given):
        total = 0.0
        for at, amount in given[first:]:
            total += amount
            assert total <= RATE * (at - began) + most + 1e-3


@given(start=STARTS, steps=STEPS)
def test_who_waits_as_long_as_it_is_told_is_let_in_and_no_sooner(
    start: float, steps: list[tuple[float, float]]
) -> None:
    one, now = bucket(), start
    for pause, amount in steps:
        now += pause
        seconds = one.wait(amount, now)
        if seconds > 1e-4:
            assert one.wait(amount, now + 0.99 * seconds) > 0
        assert not one.wait(amount, now + seconds)
        now += seconds
        one.take(amount, now)


@given(start=STARTS, steps=STEPS, given_back=st.lists(st.booleans(), min_size=40, max_size=40))
def test_it_is_the_plain_bucket_also_when_something_is_given_back(
    start: float, steps: list[tuple[float, float]], given_back: list[bool]
) -> None:
    one, plain, now = bucket(), Plain(start), start
    for (pause, amount), back in zip(steps, given_back, strict=False):
        now += pause
        allowed = plain.allows(amount, now)
        if plain.is_near(amount):
            return
        assert (one.wait(amount, now) == 0.0) is allowed
        if allowed:
            one.take(amount, now)
            plain.tokens -= amount
            if back:
                one.give_back(amount)
                plain.give_back(amount)


class World:
    """Quotas, and their clock."""

    def __init__(self, **settings: Any) -> None:
        self.now = 1000.0
        self.meter = Meter()
        self.quotas = Quotas(QuotasConfig(**settings), self.meter, lambda: self.now)

    def gate(self, principal: str = "shop", route: str | None = "orders") -> Gate:
        found = self.quotas.gate(principal, route)
        assert found is not None
        return found

    def enter(self, size: int, principal: str = "shop", route: str | None = "orders") -> Toll:
        return self.gate(principal, route).enter(size)

    def send(self, events: int, size: int, principal: str = "shop", route: str = "orders") -> None:
        """A request that is taken."""
        self.enter(size, principal, route).count(events, size)


def refused(world: World, events: int, size: int, principal: str = "shop", route: str = "orders") -> TooMany:
    with pytest.raises(TooMany) as caught:
        world.send(events, size, principal, route)
    return caught.value


@given(
    events=st.integers(1, 400),
    size=st.integers(1, 5000),
    pauses=st.lists(st.floats(0, 3), min_size=1, max_size=20),
)
def test_a_producer_that_waits_for_whole_seconds_as_told_is_let_in(events: int, size: int, pauses: list[float]) -> None:
    rates = {"events_per_second": 60, "bytes_per_second": 700, "burst": "2s"}
    world = World(principals={"*": {**rates, "routes": {"orders": {"events_per_second": 50}}}}, routes={"*": rates})
    for pause in pauses:
        world.now += pause
        try:
            toll = world.enter(size)
            toll.count(events, size)
        except TooMany as error:
            world.now += max(1, math.ceil(error.retry_after))
            world.send(events, size)


def test_a_batch_that_is_more_than_the_burst_passes_a_full_bucket_and_is_paid_for_afterwards() -> None:
    world = World(routes={"orders": {"events_per_second": 10, "burst": "5s"}})
    world.send(200, 1)
    assert refused(world, 1, 1).retry_after > 15
    world.now += 20 - 5 + 0.1
    world.send(1, 1)


def test_who_has_no_bytes_left_is_refused_before_its_body_is_read_and_pays_nothing_for_that() -> None:
    world = World(principals={"shop": {"bytes_per_second": 100, "burst": "1s"}})
    world.send(1, 80)
    for _ in range(5):
        with pytest.raises(TooMany) as caught:
            world.enter(50)
        assert caught.value.retry_after == pytest.approx(0.3)
    world.now += 0.3
    world.send(1, 50)


def test_who_has_no_events_left_is_refused_before_its_body_is_read_and_told_when_as_many_as_before_have_room() -> None:
    world = World(principals={"shop": {"events_per_second": 10, "burst": "10s"}})
    world.send(100, 1)
    with pytest.raises(TooMany) as caught:
        world.enter(1)
    assert caught.value.retry_after == pytest.approx(10)


def test_our_own_trouble_costs_nothing() -> None:
    world = World(principals={"shop": {"events_per_second": 1, "bytes_per_second": 100, "burst": "1s"}})
    for _ in range(5):
        toll = world.enter(100)
        toll.count(1, 100)
        toll.refuse(Busy("full", 1.0), None)
    world.send(1, 100)


def test_a_request_that_is_refused_for_what_it_is_pays_for_the_bytes_that_came() -> None:
    world = World(principals={"shop": {"events_per_second": 1, "bytes_per_second": 100, "burst": "1s"}})
    world.enter(100).refuse(TooLarge(Code.BODY_TOO_LARGE, "too large"), 40)
    toll = world.enter(60)
    toll.count(1, 60)
    toll.refuse(TooMany(Code.OVER_SHARE, "too much", 1.0), None)
    found = refused(world, 1, 1)
    assert found.members == {"quota": "principal_bytes"}
    world.now += found.retry_after
    world.send(1, 1)  # its event was given back


def test_who_announces_bytes_and_does_not_send_them_pays_for_those_that_came() -> None:
    world = World(routes={"orders": {"bytes_per_second": 100, "burst": "1s"}})
    for _ in range(5):
        world.enter(100).end(0)
    world.enter(100).end(30)
    world.send(1, 70)
    assert refused(world, 1, 1).retry_after == pytest.approx(0.01)


def test_what_nobody_has_announced_is_paid_for_once_it_is_there() -> None:
    world = World(routes={"orders": {"bytes_per_second": 100, "burst": "1s"}})
    toll = world.enter(0)
    toll.count(1, 90)
    # of a compressed body those are counted that it has when it is inflated; more than the burst finds a full bucket
    world.now += 1
    world.enter(20).count(1, 500)
    assert refused(world, 1, 1).retry_after == pytest.approx(4.01)


def test_of_a_body_that_is_refused_once_it_is_read_its_bytes_are_paid_and_the_wait_counts_them_again() -> None:
    world = World(principals={"shop": {"events_per_second": 10, "bytes_per_second": 100, "burst": "1s"}})
    world.send(5, 10)
    found = refused(world, 8, 90)
    assert found.retry_after == pytest.approx(0.9)
    world.now += found.retry_after
    world.send(8, 90)


def test_the_entry_of_a_name_stands_instead_of_the_one_for_each_other() -> None:
    world = World(
        principals={
            "*": {"events_per_second": 1, "burst": "1s", "routes": {"*": {"bytes_per_second": 10, "burst": "1s"}}},
            "importer": {"routes": {"orders": {"events_per_second": 5, "burst": "1s"}}},
        },
        routes={"returns": {"events_per_second": 7, "burst": "1s"}},
    )
    world.send(5, 10_000, "importer", "orders")
    assert refused(world, 1, 1, "importer", "orders").members == {"quota": "principal_route_events"}
    world.send(7, 1, "importer", "returns")
    assert refused(world, 1, 1, "importer", "returns").members == {"quota": "route_events"}
    world.now += 1
    world.send(1, 10, "shop", "orders")
    assert refused(world, 1, 1, "shop", "orders").members["quota"] in ("principal_events", "principal_route_bytes")
    world.send(1, 10, "other", "orders")
    assert world.quotas.gate("importer", "notes") is None, "nothing is asked of it there"


def test_a_route_is_shared_by_all_and_a_principal_has_its_own_over_all_routes() -> None:
    each = {"*": {"events_per_second": 10, "burst": "1s"}}
    world = World(principals=each)
    world.send(6, 1, "a", "orders")
    assert refused(world, 6, 1, "a", "returns").members == {"quota": "principal_events"}
    world.send(10, 1, "b", "orders")
    world = World(routes=each)
    world.send(6, 1, "a", "orders")
    assert refused(world, 6, 1, "b", "orders").members == {"quota": "route_events"}
    world.send(10, 1, "b", "returns")


def test_nobody_in_particular_is_held_to_what_the_routes_are_alone() -> None:
    one = {"events_per_second": 1, "burst": "1s"}
    world = World(principals={"*": one}, routes={"orders": one})
    assert world.quotas.gate("", "returns") is None
    world.send(1, 1, "")
    assert refused(world, 1, 1, "").members == {"quota": "route_events"}


def test_events_that_find_their_own_route_pay_there() -> None:
    world = World(
        principals={"shop": {"routes": {"orders": {"bytes_per_second": 50, "burst": "1s"}}}},
        routes={"returns": {"events_per_second": 2, "burst": "1s"}},
    )
    world.enter(100, route=None).count(3, 100, {"orders": (1, 50), "returns": (2, 20)})
    for routes, quota in (({"orders": (1, 1)}, "principal_route_bytes"), ({"returns": (1, 1)}, "route_events")):
        with pytest.raises(TooMany) as caught:
            world.enter(1, route=None).count(1, 1, routes)
        assert caught.value.members == {"quota": quota}
    world.enter(1, route=None).count(1, 1, {"notes": (1, 1)})
    assert refused(world, 1, 1, "other", "returns").members == {"quota": "route_events"}


def test_a_refusal_names_the_quota_and_when_it_has_room() -> None:
    world = World(routes={"orders": {"bytes_per_second": 100, "burst": "1500ms"}})
    world.send(1, 150)
    found = refused(world, 1, 120)
    assert found.headers == {
        "RateLimit-Policy": '"route_bytes";q=150;w=2;qu="content-bytes"',
        "RateLimit": '"route_bytes";r=0;t=2',
    }
    assert "100 bytes a second" in found.detail


def test_principals_that_the_quotas_do_not_name_are_one_in_the_metrics() -> None:
    one = {"events_per_second": 1, "burst": "1s"}
    world = World(principals={"*": one, "shop": one})
    for principal in ("shop", "a", "b"):
        world.send(1, 1, principal)
        refused(world, 1, 1, principal)
    assert world.meter.quota_refusals == {
        ("shop", "orders", "principal_events"): 1,
        ("other", "orders", "principal_events"): 2,
    }
