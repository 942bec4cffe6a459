"""How each lane stands, decided from what it is like now, and from what it has done in the last seconds."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from time import time
from typing import Final

from msgspec import Struct

from service.delivery.breaker import State as BreakerState
from service.delivery.lane import Lane
from service.outcome import Reason
from service.telemetry.meter import Meter
from service.telemetry.standing import Standing, State

WINDOW_SECONDS: Final = 5.0
"""How long trouble is told after it was last seen. The longest back-off is 2 s, so that a destination which gives
nothing but trouble is called more often than that."""
STEP_SECONDS: Final = 1.0
SHARE: Final = 0.01
"""Of the events tried. Below, a limit is only touched now and then, as it should be."""
OLD_SECONDS: Final = 1.0
FULL_PART: Final = 10
"""A lane with less room than this part of its memory is full: a tenth."""

_THROTTLED: Final = Reason.THROTTLED.value


class _Counts(Struct, frozen=True):
    """Events of one lane since the start."""

    delivered: int
    retried: Mapping[str, int]
    """By reason."""


_NOTHING: Final = _Counts(0, {})


class _Look(Struct, frozen=True):
    """What was counted at one moment, and of which lanes the last call had failed, why."""

    at: float
    counts: Mapping[str, _Counts]
    failures: Mapping[str, str]


class _Tries(Struct, frozen=True):
    """What became of attempts to deliver events in the window."""

    delivered: int
    retried: Mapping[str, int]
    """By reason, where there was any."""

    @property
    def throttled(self) -> int:
        """Events that the destination asked to come later."""
        return self.retried.get(_THROTTLED, 0)

    @property
    def count(self) -> int:
        """All of them."""
        return self.delivered + sum(self.retried.values())


class Standings:
    """Of the lanes of one process. Times are monotonic; looks are kept a second apart."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._looks: deque[_Look] = deque()
        self._standings: dict[str, Standing] = {}

    def look(self, lanes: Iterable[Lane], now: float) -> None:
        """Decide how each of these stands."""
        lanes = list(lanes)
        failures = {lane.name: lane.breaker.reason.value for lane in lanes if _fails(lane) and lane.breaker.reason}
        look = _Look(now, self._counts(), failures)
        if not self._looks or now >= self._looks[-1].at + STEP_SECONDS:
            self._looks.append(look)
            while len(self._looks) > 1 and self._looks[0].at < now - WINDOW_SECONDS:
                self._looks.popleft()
        self._standings = {lane.name: self._decided(lane, look) for lane in lanes}

    def of(self, sink: str) -> Standing:
        """As of the last look."""
        return self._standings.get(sink) or Standing(since=time())

    def _counts(self) -> dict[str, _Counts]:
        retried: dict[str, dict[str, int]] = {}
        for (sink, reason), count in self._meter.lane_retries.items():
            retried.setdefault(sink, {})[reason] = count
        return {
            sink: _Counts(times.event_retries.count, retried.get(sink, {})) for sink, times in self._meter.lanes.items()
        }

    def _decided(self, lane: Lane, look: _Look) -> Standing:
        failures = [each.failures[lane.name] for each in (*self._looks, look) if lane.name in each.failures]
        tries = self._tries(lane.name, look)
        found = list(_found(lane, tries, failures))
        state = found[0][0] if found else State.HEALTHY
        before = self._standings.get(lane.name)
        if before is not None and before.state is state:
            since = before.since
        elif _fails(lane) and state is not State.FULL:
            since = time() - (asyncio.get_running_loop().time() - lane.breaker.since)
        else:
            since = time()
        throttled = any(each is State.THROTTLED for each, _ in found)
        return Standing(state, since, _reason(found, tries, failures, throttled), [words for _, words in found])

    def _tries(self, sink: str, look: _Look) -> _Tries:
        now, before = look.counts.get(sink, _NOTHING), self._looks[0].counts.get(sink, _NOTHING)
        grown = {reason: count - before.retried.get(reason, 0) for reason, count in now.retried.items()}
        retried = {reason: count for reason, count in grown.items() if count}
        return _Tries(now.delivered - before.delivered, retried)


def _fails(lane: Lane) -> bool:
    """Whether the last call failed as a whole."""
    return lane.breaker.failures > 0 and lane.breaker.reason is not None


def _found(lane: Lane, tries: _Tries, failures: list[str]) -> Iterator[tuple[State, str]]:
    """Each state that holds, the worst first, in words. `failures`: why calls failed as a whole, in the window."""
    if not lane.has_room(lane.capacity // FULL_PART):
        yield State.FULL, f"{lane.held_bytes / lane.capacity:.0%} of its memory is taken"
    others = sorted({*failures} - {_THROTTLED})
    if lane.breaker.state is not BreakerState.CLOSED:
        why = failures[-1] if failures else Reason.UNAVAILABLE.value
        yield State.OPEN, f"nothing but failures: {why}; it is tried every 2 s"
    elif others:
        yield State.FAILING, f"calls fail: {', '.join(others)}"
    elif sum(tries.retried.values()) - tries.throttled > tries.delivered:
        yield State.FAILING, "more events fail than succeed"
    oldest = lane.oldest_age()
    if oldest > lane.settings.slow_seconds:
        yield State.SLOW, f"its oldest event has waited {oldest:.0f} s"
    # a lane that knows the limit keeps to it: then little is throttled, and what waits becomes old
    felt = tries.throttled >= SHARE * tries.count or oldest >= OLD_SECONDS
    if (tries.throttled and felt) or _THROTTLED in failures:
        yield State.THROTTLED, f"{tries.throttled} of {tries.count} events tried in {WINDOW_SECONDS:g} s throttled"


def _reason(found: list[tuple[State, str]], tries: _Tries, failures: list[str], throttled: bool) -> str | None:
    """What is at the bottom of what was found: why calls fail, else what events come back for, else nothing."""
    if not found:
        return None
    if failures:
        return failures[-1]
    if throttled:
        return _THROTTLED
    fails = any(state is State.FAILING for state, _ in found)
    return max(tries.retried, key=lambda reason: tries.retried[reason]) if fails else None
