"""The last minute: what was delivered in it, and not what was before."""

from service.telemetry.meter import LaneTimes, Meter
from service.telemetry.minute import MINUTE_SECONDS, STEP_SECONDS, Minute


def test_only_the_last_minute_counts() -> None:
    meter = Meter()
    meter.lanes["lake"] = LaneTimes()
    minute = Minute(meter)
    meter.lanes["lake"].delivery_seconds.observe(9.0)
    assert minute.lanes()["lake"].count == 1, "before the first look it is all there is"
    now = 0.0
    while now <= 3 * MINUTE_SECONDS:
        minute.look(now)
        now += 1.0
    meter.lanes["lake"].delivery_seconds.observe(0.01)
    assert minute.lanes()["lake"].quantile(0.99) == 0.01
    assert len(minute._copies) <= MINUTE_SECONDS / STEP_SECONDS + 2
    minute.look(now + MINUTE_SECONDS)
    minute.look(now + 2 * MINUTE_SECONDS)
    assert minute.lanes()["lake"].count == 0


def test_a_lane_that_came_later_is_there() -> None:
    meter = Meter()
    minute = Minute(meter)
    minute.look(0.0)
    meter.lanes["lake"] = LaneTimes()
    meter.lanes["lake"].delivery_seconds.observe(0.01)
    assert minute.lanes()["lake"].count == 1
