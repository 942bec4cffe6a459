"""Who is remembered of those that quotas hold: few, each once, the one not seen for longest forgotten first."""

import weakref

import pytest

from service.quotas import accounts
from tests.unit.test_quotas import World, refused


def test_few_principals_are_remembered_and_none_has_two_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST_ACCOUNTS", 10)
    world = World(principals={"*": {"events_per_second": 1, "burst": "1s"}})
    held = world.gate("held")
    for number in range(100):
        world.send(1, 1, f"p{number}")
        world.now += 0.5
    assert len(world.quotas.accounts._kept) <= 10
    assert "held" not in world.quotas.accounts._kept
    held.enter(1).count(1, 1)
    refused(world, 1, 1, "held")
    refused(world, 2, 1, "p99")


def test_when_all_who_are_remembered_owe_something_a_new_one_does_not_look_through_them_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accounts, "MOST_ACCOUNTS", 80)
    world = World(principals={"*": {"events_per_second": 1, "burst": "1s"}})
    looks = 0

    def looked(account: accounts.Account, now: float) -> bool:
        nonlocal looks
        looks += 1
        return False

    monkeypatch.setattr(accounts.Account, "is_full", looked)
    for number in range(240):
        world.send(1, 1, f"p{number}")
    assert len(world.quotas.accounts._kept) == 80
    assert looks <= 240 * accounts.LOOKS


def test_who_was_not_seen_for_longest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST_ACCOUNTS", 10)
    world = World(principals={"*": {"events_per_second": 1000, "burst": "60s"}})
    busy = weakref.ref(world.quotas.accounts.of("busy"))
    for number in range(100):
        world.send(1, 1, f"p{number}")
        world.send(1, 1, "busy")
    assert busy() is world.quotas.accounts.of("busy")
