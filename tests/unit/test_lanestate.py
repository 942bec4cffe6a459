"""How a lane does: the worst of what its counters and gauges of the last seconds say, and since when."""

from typing import Any

import pytest

from service.admin.lanestate import Standing, State, standings
from service.admin.moment import Moment
from tests.unit.console_moments import EPOCH, Past


def told(moments: list[Moment], before: Standing | None = None) -> Standing:
    return standings(moments, {"lake": before} if before is not None else {})["lake"]


def test_a_lane_that_does_nothing_is_healthy() -> None:
    past = Past()
    found = told([past.moment(0), past.moment(4)])
    assert (found.state, found.reasons) == (State.HEALTHY, [])


def test_the_first_throttled_events_show_at_the_next_look() -> None:
    past = Past()
    before = past.moment(0)
    past.deliver(100)
    past.retry("throttled", 30)
    found = told([before, past.moment(1)])
    assert found.state is State.THROTTLED
    assert found.reasons == ["30 of 130 events tried in 5 s throttled"]


def test_a_limit_that_is_only_touched_is_no_trouble_unless_events_wait_for_it() -> None:
    past = Past()
    before = past.moment(0)
    past.deliver(1000)
    past.retry("throttled", 2)
    assert told([before, past.moment(1)]).state is State.HEALTHY
    past.gauge("lake", held_events=3, oldest_seconds=1.5)
    assert told([before, past.moment(1)]).state is State.THROTTLED


def test_trouble_is_over_once_no_moment_of_the_window_has_it() -> None:
    past = Past()
    past.retry("throttled", 5)
    after = past.moment(1)
    past.deliver(5)
    assert told([after, past.moment(2)]).state is State.HEALTHY


@pytest.mark.parametrize(
    ("gauges", "state"),
    [
        ({"failures": 1, "last_failure": "throttled"}, State.THROTTLED),
        ({"failures": 1, "last_failure": "timeout"}, State.FAILING),
        ({"failures": 3, "last_failure": "timeout", "breaker": "open"}, State.OPEN),
        ({"failures": 3, "last_failure": "timeout", "breaker": "half_open"}, State.OPEN),
        ({"failures": 3, "last_failure": "throttled", "breaker": "open"}, State.OPEN),
        ({"held_bytes": 900}, State.HEALTHY),
        ({"held_bytes": 901}, State.FULL),
        ({"held_bytes": 950, "failures": 9, "last_failure": "timeout", "breaker": "open"}, State.FULL),
    ],
)
def test_gauges_have_a_word_each_and_the_worst_is_told(gauges: dict[str, Any], state: State) -> None:
    past = Past()
    before = past.moment(0)
    past.gauge("lake", **gauges)
    assert told([before, past.moment(1)]).state is state


def test_all_that_holds_is_said_the_worst_first() -> None:
    past = Past()
    before = past.moment(0)
    past.retry("throttled", 4)
    past.gauge("lake", held_bytes=990, failures=2, last_failure="access_denied", breaker="open")
    assert told([before, past.moment(1)]).reasons == [
        "99% of its memory is taken",
        "nothing but failures: access_denied; it is tried every 2 s",
        "4 of 4 events tried in 5 s throttled",
    ]


def test_a_failure_between_two_looks_is_told_for_the_whole_window() -> None:
    past = Past()
    past.gauge("lake", failures=1, last_failure="unreachable")
    failing = past.moment(0)
    past.gauge("lake", failures=0, last_failure=None)
    assert told([failing, past.moment(3)]).state is State.FAILING


def test_more_failures_than_deliveries_are_trouble_though_no_call_fails_whole() -> None:
    past = Past()
    before = past.moment(0)
    past.deliver(10)
    past.retry("internal", 10)
    assert told([before, past.moment(1)]).state is State.HEALTHY
    past.retry("internal", 1)
    assert told([before, past.moment(1)]).state is State.FAILING


def test_a_state_has_its_beginning_for_as_long_as_it_lasts() -> None:
    past = Past()
    first = told([past.moment(5)])
    assert first.since == EPOCH + 5
    later = told([past.moment(5), past.moment(9)], first)
    assert later.since == EPOCH + 5
    past.gauge("lake", held_bytes=999)
    full = told([past.moment(10)], later)
    assert (full.state, full.since) == (State.FULL, EPOCH + 10)
