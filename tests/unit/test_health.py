"""Health: what another replica would not share makes this one not ready; a stuck destination degrades it."""

import asyncio
import random
from collections.abc import Mapping

import pytest

from service.delivery.entry import Entry
from service.delivery.health import Health, Phase
from service.delivery.lane import Lane
from service.delivery.standing import WINDOW_SECONDS
from service.outcome import Reason
from service.receipt import Receipt
from service.telemetry.meter import Meter
from tests.flow.scripted import REQUIRED, Faults, ScriptedSink, all_settled, event, lane
from tests.flow.simulated import run


def _put(target: Lane, count: int, size: int = 100) -> Receipt:
    receipt = Receipt([(target.name,)] * count)
    for index in range(count):
        one = event(index, size)
        target.put([Entry(one, one, target.size(one), one.charge, REQUIRED, target.name, receipt, index)])
    return receipt


def _sink(**faults: float) -> ScriptedSink:
    return ScriptedSink(Faults(**faults), random.Random(1))


def _serving(lanes: Mapping[str, Lane], strict: bool = False) -> Health:
    health = Health(strict)
    health.lanes = lanes
    health.phase = Phase.SERVING
    return health


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.DRAINING])
def test_a_replica_that_starts_or_drains_is_alive_and_not_ready(phase: Phase) -> None:
    health = Health()
    health.phase = phase
    assert health.livez()[0] == 200
    assert health.readyz() == (503, {"status": phase.value})


def test_a_replica_starts_not_ready() -> None:
    assert Health().readyz() == (503, {"status": "starting"})


def test_with_healthy_destinations_it_is_ready() -> None:
    async def main() -> None:
        target = lane(_sink(), Meter())
        health = _serving({"s": target})
        await all_settled(_put(target, 3))
        assert health.readyz() == (200, {"status": "ready"})

    run(main())


@pytest.mark.parametrize(("strict", "status"), [(False, 200), (True, 503)])
def test_a_destination_that_fails_degrades_and_the_reason_is_told_until_it_has_been_well_for_a_while(
    strict: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        monkeypatch.setattr("service.delivery.health.monotonic", asyncio.get_running_loop().time)
        destination = _sink()
        destination.dead = True
        target = lane(destination, Meter())
        health = _serving({"s": target}, strict)
        await all_settled(_put(target, 1))
        found, body = health.readyz()
        (trouble,) = body.pop("reasons")
        assert (found, body) == (status, {"status": "degraded"})
        assert trouble.pop("since").endswith("+00:00")
        assert trouble == {
            "sink": "s",
            "state": "open",
            "reason": Reason.UNAVAILABLE.value,
            "do": "Wait, and look at the destination's own health.",
        }
        assert health.livez()[0] == 200

        destination.dead = False
        await all_settled(_put(target, 1))
        (trouble,) = health.troubles()
        assert (trouble["state"], trouble["reason"]) == ("failing", Reason.UNAVAILABLE.value)
        await asyncio.sleep(WINDOW_SECONDS + 0.1)
        assert health.readyz() == (200, {"status": "ready"})

    run(main())


def test_a_destination_that_is_behind_is_slow() -> None:
    async def main() -> None:
        target = lane(_sink(seconds=7.0), Meter(), concurrency=1, patience="40s", call_timeout="15s")
        health = _serving({"s": target})
        receipt = _put(target, 60)
        await asyncio.sleep(16)
        assert health.readyz()[1] == {"status": "ready"}
        await asyncio.sleep(2)
        (trouble,) = health.troubles()
        assert (trouble["sink"], trouble["state"]) == ("s", "slow")
        assert trouble["oldest_seconds"] == pytest.approx(18, abs=0.1)
        await all_settled(receipt)

    run(main())


def test_a_lane_with_less_than_a_tenth_of_its_room_is_full() -> None:
    async def main() -> None:
        target = lane(_sink(), Meter(), memory="64KiB")
        health = _serving({"s": target})
        receipt = _put(target, 20, 2570)
        assert health.troubles() == []
        more = _put(target, 2, 2570)
        (trouble,) = health.troubles()
        assert (trouble["state"], trouble["do"]) == ("full", "Raise memory, or make the destination faster.")
        await all_settled(receipt)
        await all_settled(more)
        assert health.troubles() == []

    run(main())
