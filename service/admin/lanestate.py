"""How a lane does: one word, decided from what it has counted in the last seconds, and since when it holds."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from service.admin.interval import Interval, Tries
from service.admin.moment import Moment
from service.delivery.throttling import SHARE
from service.delivery.troubles import FULL_PART
from service.outcome import Reason

SECONDS: Final = 5.0
"""How long trouble is told after it was last seen. The longest back-off is 2 s, so that a destination which gives
nothing but trouble is called more often than that."""
OLD_SECONDS: Final = 1.0
FULL_SHARE: Final = 1 - 1 / FULL_PART
"""Of its memory: as `/status` has it."""


class State(StrEnum):
    """A word for a lane, the worst that holds. Closed set, from good to bad."""

    HEALTHY = "healthy"
    THROTTLED = "throttled"
    """The destination asks for less than is there."""
    FAILING = "failing"
    """Calls fail as a whole, or more events fail than are delivered."""
    OPEN = "open"
    """The breaker is: nothing but failures for 5 s."""
    FULL = "full"
    """More than nine tenths of its memory is taken: producers are refused next, or are already."""


class Standing(Struct, frozen=True):
    """How one lane does."""

    state: State
    since: float
    """Seconds since the epoch."""
    reasons: list[str]
    """Each state that holds but `healthy`, in words, the worst first."""


def standings(moments: Sequence[Moment], before: Mapping[str, Standing]) -> dict[str, Standing]:
    """By sink, how each lane does after these moments of the last SECONDS, the newest last. `before`: how they did."""
    now = moments[-1]
    tries = Interval(moments[0], now).tries()
    result: dict[str, Standing] = {}
    for sink in now.lanes:
        found = _found(moments, sink, tries[sink])
        state = found[0][0] if found else State.HEALTHY
        known = before.get(sink)
        since = known.since if known is not None and known.state is state else now.clock
        result[sink] = Standing(state, since, [words for _, words in found])
    return result


def _found(moments: Sequence[Moment], sink: str, tries: Tries) -> list[tuple[State, str]]:
    found: list[tuple[State, str]] = []
    gauges = [each.lanes[sink] for each in moments if sink in each.lanes]
    now = gauges[-1]
    failures = {each.last_failure for each in gauges if each.failures and each.last_failure}
    share = now.held_bytes / now.capacity_bytes if now.capacity_bytes else 0.0
    if share > FULL_SHARE:
        found.append((State.FULL, f"{share:.0%} of its memory is taken"))
    others = sorted(failures - {Reason.THROTTLED.value})
    failed = tries.retried - tries.throttled
    if now.breaker != "closed":
        found.append((State.OPEN, f"nothing but failures: {now.last_failure or 'unavailable'}; it is tried every 2 s"))
    elif others or failed > tries.delivered:
        found.append((State.FAILING, f"calls fail: {', '.join(others)}" if others else "more events fail than succeed"))
    # a lane that knows the limit keeps to it: then little is throttled, and what waits becomes old
    felt = tries.throttled >= SHARE * tries.count or now.oldest_seconds >= OLD_SECONDS
    if (tries.throttled and felt) or Reason.THROTTLED.value in failures:
        found.append((State.THROTTLED, f"{tries.throttled} of {tries.count} events tried in {SECONDS:g} s throttled"))
    return found
