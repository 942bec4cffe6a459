"""The last 15 minutes of each lane: a point every 5 s, and no more than 180 of them."""

from service.admin.history import POINTS, TOTAL, History
from tests.unit.console_moments import EPOCH, Past


def test_a_point_is_made_of_what_happened_in_its_five_seconds() -> None:
    past, history = Past(), History()
    assert not history.add(past.moment(0))
    past.deliver(50)
    past.retry("throttled", 10)
    past.gauge("lake", held_events=7, oldest_seconds=1.25)
    past.meter.lanes["lake"].delivery_seconds.observe(0.1)
    past.meter.edge_rejected["http", "orders", "busy"] += 5
    assert [history.add(past.moment(at)) for at in (1, 2, 3, 4.2, 4.9)] == [False] * 4 + [True]
    shown = history.shown()
    assert shown.at == [EPOCH + 4.9]
    assert {name: values[0] for name, values in shown.lanes["lake"].items()} == {
        "received": 10.2,
        "delivered": 10.2,
        "held": 7.0,
        "oldest": 1.25,
        "p99": 0.1,
        "retried": 2.041,
    }
    assert shown.lanes["dead"]["p99"] == [None]
    total = {name: values[0] for name, values in shown.lanes[TOTAL].items()}
    assert (total["received"], total["delivered"], total["held"], total["p99"]) == (9.184, 10.2, 7.0, 0.1)


def test_points_are_bounded_and_the_oldest_go() -> None:
    past, history = Past(), History()
    for step in range(POINTS + 20):
        past.deliver(step)
        history.add(past.moment(5.0 * step))
    shown = history.shown(10 * POINTS)
    assert len(shown.at) == POINTS
    assert shown.at[-1] == EPOCH + 5 * (POINTS + 19)
    assert {len(values) for lane in shown.lanes.values() for values in lane.values()} == {POINTS}
    assert history.shown(1).lanes["lake"]["received"] == shown.lanes["lake"]["received"][-1:]


def test_a_lane_that_came_later_has_gaps_before() -> None:
    past, history = Past(), History()
    away = past.lanes.pop("dead")
    history.add(past.moment(0))
    history.add(past.moment(5))
    past.lanes["dead"] = away
    history.add(past.moment(10))
    assert history.shown().lanes["dead"]["held"] == [None, 0.0]


def test_what_a_dead_worker_took_with_it_is_no_negative_rate() -> None:
    past, history = Past(), History()
    past.deliver(100)
    history.add(past.moment(0))
    past.meter.lane_received["lake", "orders"] -= 10
    past.meter.edge_received["http", "orders"] -= 10
    history.add(past.moment(5))
    assert history.shown().lanes["lake"]["received"] == [0.0]
    assert history.shown().lanes[TOTAL]["received"] == [0.0]
