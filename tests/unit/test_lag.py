"""The loop's lag: the worst of the last minute, and a verdict that does not come and go."""

import pytest

from service.telemetry.lag import MINUTE_SECONDS, STUCK_FOR_SECONDS, STUCK_SECONDS, Lag, LoopGauges, worst
from service.telemetry.meter import Meter


def test_the_worst_of_the_last_minute_is_known_and_nothing_older() -> None:
    lag = Lag(Meter())
    lag.note(0.7, 100.0)
    for second in range(101, 160):
        lag.note(0.01, float(second))
    assert lag.gauges.worst_seconds == 0.7
    lag.note(0.02, 100.0 + MINUTE_SECONDS)
    assert lag.gauges.worst_seconds == 0.02
    assert len(lag._worst) <= 13


def test_every_lag_is_counted() -> None:
    meter = Meter()
    lag = Lag(meter)
    for each in (0.0001, 0.3, 40.0):
        lag.note(each, 1.0)
    assert meter.loop_lag_seconds.count == 3
    assert meter.loop_lag_seconds.counts[-1] == 1
    both = Meter()
    both.add(meter)
    both.add(meter)
    assert both.loop_lag_seconds.count == 6


def test_a_loop_was_stuck_until_it_has_been_well_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.telemetry.lag.time", lambda: 1_000_000.0)
    lag = Lag(Meter())
    lag.note(STUCK_SECONDS - 0.1, 0.0)
    assert lag.gauges.stuck_since is None
    lag.note(STUCK_SECONDS + 1, 10.0)
    assert lag.gauges.stuck_since == 1_000_000.0 - STUCK_SECONDS - 1
    lag.note(1.5, 35.0)
    lag.note(0.01, 35.0 + STUCK_FOR_SECONDS - 1)
    assert lag.gauges.stuck_since is not None, "a lag of a second and a half starts the time anew"
    lag.note(0.01, 35.0 + STUCK_FOR_SECONDS)
    assert lag.gauges.stuck_since is None


def test_of_several_loops_the_worst_is_told() -> None:
    assert worst([]) == LoopGauges()
    assert worst([LoopGauges(0.1), LoopGauges(6.0, 50.0), LoopGauges(0.2, 70.0)]) == LoopGauges(6.0, 50.0)
