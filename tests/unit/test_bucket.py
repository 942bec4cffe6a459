"""The token bucket of one partition: what a large event costs it, and how it follows a rate that recovers."""

from service.delivery.bucket import LEAST, LOOK_AGAIN_SECONDS, Bucket
from service.sinks.contract import Pace

MIB = 2**20


def throttled(bucket: Bucket, seconds: int) -> float:
    """Throttle everything for so long. Returns the time."""
    for tenth in range(10 * seconds):
        bucket.note(0, 0, throttled=True, now=tenth / 10)
    return float(seconds)


def test_a_large_event_after_throttling_closes_a_partition_only_until_its_rate_has_recovered() -> None:
    bucket = Bucket(Pace(events=0, bytes=10**6), 0.0)
    now = throttled(bucket, 3)
    assert bucket.share == LEAST
    bucket.note(1, 1, throttled=False, now=now)
    now += 0.1
    assert bucket.open(now)
    assert not bucket.take(MIB)
    closed = now
    while not bucket.open(now):
        opens = bucket.opens_at(now)
        assert now < opens <= now + LOOK_AGAIN_SECONDS
        now = opens
    assert now - closed < 9


def test_a_bucket_that_is_looked_at_when_it_opens_holds_a_quantum() -> None:
    bucket = Bucket(Pace(events=1000, bytes=0), 0.0)
    while bucket.take(100):
        pass
    opens = bucket.opens_at(0.0)
    assert 0.05 <= opens <= 0.052
    assert bucket.open(opens)
    taken = 1
    while bucket.take(100):
        taken += 1
    assert taken == 50


def test_a_large_event_that_was_throttled_leaves_no_debt() -> None:
    bucket = Bucket(Pace(events=0, bytes=10**6), 0.0)
    assert not bucket.take(MIB)
    bucket.refund(1, MIB)
    bucket.note(0, 0, throttled=True, now=0.0)
    assert not bucket.open(0.0), "what is left of the tokens is gone all the same"
    assert bucket.opens_at(0.0) <= 0.05 + 1e-9
