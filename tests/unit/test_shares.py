"""Shares: one sender may hold what nobody else wants; of what others want too it holds no more than is left free."""

import pytest

from service.delivery import shares
from service.delivery.shares import LATELY_SECONDS, Lately, Shares, of_address, of_principal
from service.errors import Busy, Code, TooMany
from service.http.room import Hold, Room
from service.telemetry.meter import Meter

CAPACITY = 1000


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class World:
    """A thousand bytes, and who holds them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.shares = Shares(CAPACITY, self.clock)
        self.used = 0

    def take(self, sender: str, size: int) -> bool:
        """Whether it was let in."""
        granted = self.shares.grants(sender, size, self.used)
        if granted and self.used + size <= CAPACITY:
            self.shares.add(sender, size)
            self.used += size
            return True
        return False

    def give_back(self, sender: str, size: int) -> None:
        self.shares.add(sender, -size)
        self.used -= size

    def fill(self, *senders: str, size: int = 1) -> None:
        """All of them take in turns until none is let in."""
        let_in = [True]
        while any(let_in):
            let_in = [self.take(each, size) for each in senders]


def test_who_is_alone_may_have_all() -> None:
    world = World()
    world.fill("greedy")
    assert world.used == CAPACITY


@pytest.mark.parametrize("greedy", [1, 2, 4, 9])
def test_those_that_want_all_hold_the_same_and_as_much_stays_free(greedy: int) -> None:
    world = World()
    names = [f"g{number}" for number in range(greedy)]
    assert world.take("modest", 1)
    world.give_back("modest", 1)
    world.fill(*names)
    part = CAPACITY // (greedy + 1)
    assert all(abs(world.shares.held[name] - part) <= 1 for name in names)
    assert world.take("modest", part - greedy), "there is room for one more of them"


def test_who_has_borrowed_is_let_in_no_more_once_somebody_else_has_come_until_it_is_within_its_share() -> None:
    world = World()
    world.fill("greedy")
    assert not world.take("modest", 10), "there is no room at all"
    for _ in range(49):
        world.give_back("greedy", 10)
        assert not world.take("greedy", 1)
    assert world.take("modest", 490)
    world.give_back("greedy", 300)
    assert world.take("greedy", 1)


def test_who_holds_nothing_is_let_in_while_there_is_room() -> None:
    world = World()
    world.fill("a")
    world.give_back("a", 400)
    assert world.take("b", 400)


def test_others_are_forgotten_when_they_have_not_come_for_a_while() -> None:
    world = World()
    assert world.take("modest", 1)
    world.give_back("modest", 1)
    world.fill("greedy")
    assert world.used < CAPACITY
    for _ in range(3):
        world.clock.now += LATELY_SECONDS + 1
        world.fill("greedy")
    assert world.used == CAPACITY


def test_what_nobody_holds_takes_no_memory_and_few_that_came_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MOST_SENDERS", 100)
    world = World()
    for number in range(1000):
        assert world.take(f"s{number}", 1)
        world.give_back(f"s{number}", 1)
    assert not world.shares.held
    assert len(world.shares._lately._now) == 100
    lately = Lately(world.clock)
    for number in range(1000):
        lately.note(f"s{number}")
    assert lately.others("s999"), "it is not among those that are remembered, and they are others"


def test_an_ipv6_network_is_one_sender_and_no_principal_is_an_address() -> None:
    assert of_address("2001:db8:1:2:3:4:5:6") == of_address("2001:db8:1:2::1%eth0") == "2001:db8:1:2::/64"
    assert of_address("2001:db8:1:3::1") != of_address("2001:db8:1:2::1")
    assert of_address("::ffff:192.0.2.1") == of_address("192.0.2.1") == "192.0.2.1"
    assert of_address("what:ever") == "what:ever"
    assert of_principal("192.0.2.1") not in ("", of_address("192.0.2.1"))
    assert of_principal("") == ""


def test_places_and_bodies_of_a_port_are_shared_and_given_back() -> None:
    meter = Meter()
    room = Room(meter, CAPACITY, requests=14)
    modest = Hold(room, 10, "modest")
    greedy = [Hold(room, 100, "greedy") for _ in range(4)]
    with pytest.raises(TooMany) as caught:
        Hold(room, 500, "greedy")
    assert caught.value.code is Code.OVER_SHARE
    with pytest.raises(TooMany):
        greedy[0].grow(200)
    greedy[0].grow(20)
    with pytest.raises(TooMany):
        greedy[0].demand(300)
    assert meter.share_refusals == {("bodies", ""): 3}
    greedy += [Hold(room, 0, "greedy") for _ in range(2)]
    with pytest.raises(TooMany):
        Hold(room, 0, "greedy")
    assert meter.share_refusals["requests", ""] == 1
    others = [Hold(room, 100, "modest") for _ in range(2)]
    assert (meter.requests_open, meter.body_bytes) == (9, 630)
    for hold in (modest, *greedy, *others):
        hold.end()
    assert (meter.requests_open, meter.body_bytes, room._parts) == (0, 0, {})


def test_a_port_that_is_full_of_others_is_busy() -> None:
    room = Room(Meter(), CAPACITY, requests=4)
    for _ in range(4):
        Hold(room, 250, "greedy")
    with pytest.raises(Busy):
        Hold(room, 0, "modest")
    room = Room(Meter(), CAPACITY, requests=4)
    Hold(room, CAPACITY, "greedy")
    with pytest.raises(Busy):
        Hold(room, 1, "modest")
    with pytest.raises(TooMany):
        Hold(room, 1, "greedy")
