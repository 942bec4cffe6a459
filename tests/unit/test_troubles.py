"""Troubles: what is wrong, why, since when, and what to do next; told the same way for as long as it lasts."""

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import pytest

from service.delivery.health import Health, Phase, verdict
from service.delivery.remedies import REMEDIES
from service.delivery.troubles import Troubles, rfc3339
from service.outcome import Reason
from service.telemetry.journal import JournalGauges
from service.telemetry.meter import Meter
from service.telemetry.source import SourceGauges
from tests.flow.scripted import Faults, ScriptedSink, all_settled, lane
from tests.flow.simulated import run
from tests.unit.test_health import _put as put


class Clock:
    """Unix time as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000.0
        for module in ("troubles", "standing"):
            monkeypatch.setattr(f"service.delivery.{module}.time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def journal(why: str | None, used: int = 1) -> Any:
    gauges = JournalGauges(used, 100, 50, 0, 0.0, {}, why)
    return SimpleNamespace(trouble=why, state=gauges, unreadable=0)


def source(why: str | None) -> Any:
    return SimpleNamespace(gauges=SourceGauges("msk", trouble=why))


def test_a_trouble_keeps_the_time_at_which_it_began_and_a_new_one_has_its_own(clock: Clock) -> None:
    troubles = Troubles(Meter())
    began = rfc3339(clock.now)
    assert troubles.look([], None, {"msk": source("no broker")}, 0.0)[0]["since"] == began
    clock.now += 60
    assert troubles.look([], None, {"msk": source("refused")}, 60.0)[0]["since"] == began
    assert troubles.look([], None, {"msk": source(None)}, 61.0) == []
    assert troubles._since == {}
    assert troubles.look([], None, {"msk": source("no broker")}, 62.0)[0]["since"] == rfc3339(clock.now)


@pytest.mark.parametrize(
    ("why", "used", "state", "word"),
    [
        ("the disk fails", 1, "failing", "errors"),
        ("it has 100 of journal.max_bytes = 100", 100, "full", "max_bytes"),
        ("the disk has 9 bytes free, less than journal.min_free = 10", 1, "full", "free"),
    ],
)
def test_the_journal_says_whether_it_is_full_or_fails(clock: Clock, why: str, used: int, state: str, word: str) -> None:
    (trouble,) = Troubles(Meter()).look([], journal(why, used), {}, 0.0)
    assert (trouble["journal"], trouble["state"], trouble["since"]) == (why, state, rfc3339(clock.now))
    assert word in trouble["do"]


def test_a_destination_fails_since_its_first_failure_and_the_reason_says_what_to_do(clock: Clock) -> None:
    async def main() -> None:
        sink = ScriptedSink(Faults(), random.Random(1), dead=True)
        target = lane(sink, Meter(), patience="600s")
        health = Health()
        health.lanes, health.phase = {"s": target}, Phase.SERVING
        put(target, 1)
        await asyncio.sleep(1)
        failed_for = asyncio.get_running_loop().time() - target.breaker.since
        assert failed_for > 0.5
        (trouble,) = health.troubles()
        began = trouble.pop("since")
        assert began == rfc3339(clock.now - failed_for)
        assert trouble == {"sink": "s", "state": "failing", "reason": "unavailable", "do": REMEDIES[Reason.UNAVAILABLE]}
        for _ in range(30):
            await asyncio.sleep(1)
            clock.now += 1.05
            assert health.troubles()[0]["since"] == began
        await target.abandon()

    run(main())


def test_a_lane_that_is_behind_because_it_is_throttled_says_so() -> None:
    async def main() -> None:
        meter = Meter()
        target = lane(
            ScriptedSink(Faults(seconds=7.0), random.Random(1)),
            meter,
            concurrency=1,
            patience="40s",
            call_timeout="15s",
        )
        health = Health(meter=meter)
        health.lanes = {"s": target}
        receipt = put(target, 60)
        await asyncio.sleep(21)
        (trouble,) = health.troubles()
        assert (trouble["state"], trouble["do"]) == ("slow", REMEDIES[Reason.PATIENCE_OVER])
        meter.lane_retries["s", "throttled"] += 100
        (trouble,) = health.troubles()
        assert (trouble["state"], trouble["reason"], trouble["do"]) == ("slow", "throttled", REMEDIES[Reason.THROTTLED])
        await all_settled(receipt)
        await asyncio.sleep(0.1)
        (trouble,) = health.troubles()
        assert (trouble["state"], trouble["reason"]) == ("throttled", "throttled")

    run(main())


@pytest.mark.parametrize(("strict", "status"), [(False, 200), (True, 200)])
def test_being_throttled_takes_no_replica_out_of_service(strict: bool, status: int) -> None:
    assert verdict([{"sink": "s", "state": "throttled"}], strict)[0] == status
    nothing_but = {"sink": "s", "state": "open", "reason": "throttled"}
    assert verdict([nothing_but], strict)[0] == status
    assert verdict([nothing_but | {"reason": "timeout"}], True)[0] == 503
    assert verdict([{"sink": "s", "state": "throttled"}, {"sink": "t", "state": "slow"}], True)[0] == 503


def test_a_loop_that_was_stuck_makes_this_replica_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("service.delivery.health.monotonic", lambda: now[0])
    health = Health()
    health.phase = Phase.SERVING
    health.beat(0.01)
    assert health.readyz() == (200, {"status": "ready"})
    health.beat(6.0)
    status, body = health.readyz()
    assert (status, body["status"]) == (503, "loop_stuck")
    assert (body["reasons"][0]["loop"], body["reasons"][0]["state"]) == ("nothing was answered for 6.0 s", "stuck")
    assert "log" in body["reasons"][0]["do"]
    assert health.livez()[0] == 200
    now[0] += 31
    health.beat(0.01)
    assert health.readyz() == (200, {"status": "ready"})


def test_the_heart_beats_keep_the_time_of_what_nobody_asks_about(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("service.delivery.health.monotonic", lambda: now[0])
    health = Health()
    health.sources = {"msk": source("no broker")}
    began = rfc3339(clock.now)
    health.beat(0.0)
    clock.now += 3600
    now[0] += 3600
    assert health.troubles()[0]["since"] == began
