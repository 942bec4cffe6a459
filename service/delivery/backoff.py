"""How long to wait before the next attempt: full jitter, so that many waiters do not return together."""

import random

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 2.0
"""Also how soon a destination that came back is noticed."""
LONGEST_ASKED_SECONDS = 60.0
"""Most that a destination's own Retry-After is heeded."""


def delay(
    failures: int,
    after: float | None,
    rng: random.Random,
    first: float = FIRST_SECONDS,
    longest: float = LONGEST_SECONDS,
) -> float:
    """Seconds to wait after the `failures`-th failure in a row (from 1); at least `after`, if it was said.

    Full jitter: uniform between 0 and min(longest, first · 2^(failures - 1)) ("Exponential Backoff And Jitter",
    AWS Architecture Blog).
    """
    ceiling = min(longest, first * 2.0 ** min(failures - 1, 16))
    return max(rng.uniform(0, ceiling), min(after or 0.0, LONGEST_ASKED_SECONDS))
