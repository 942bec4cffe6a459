"""The quotas of the public port: what a request must pay, and what it is told that cannot.

A request pays at two gates. Before its body is read it pays for the bytes that it announces, and is refused already if
not even one event has room; once they are counted it pays for its events, and for bytes that nobody knew of before.
Both are all or nothing: who is refused at a gate pays nothing there.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Final

from service.config.quotas import QuotasConfig
from service.errors import Code, Defect, TooMany, Unavailable
from service.quotas.accounts import Account, Accounts, Pair
from service.quotas.bucket import BYTES, EVENTS, Bucket
from service.telemetry.meter import Meter

log = logging.getLogger(__name__)

OTHER: Final = "other"
"""What metrics call a principal that the quotas do not name: names come with credentials, and may be many."""
TOLD_SECONDS: Final = 60.0
"""Between two log lines that say who is over a quota."""
_WORDS: Final = {"principal": "of your credentials", "route": "of this route", "principal_route": "of yours to it"}
_UNITS: Final = {EVENTS: "events", BYTES: "content-bytes"}
"""Quota units of the draft: the second one is registered there, the first one is ours."""

Charge = tuple[Bucket, float]
"""A bucket, and how much is taken from it."""


class Quotas:
    """All of them. Only the event loop's thread calls it."""

    def __init__(self, settings: QuotasConfig, meter: Meter, clock: Callable[[], float] = monotonic) -> None:
        """`clock` gives monotonic seconds."""
        self.now = clock
        self.accounts = Accounts(settings, clock)
        self._named = frozenset(settings.principals)
        self._meter = meter
        self._told_at = -math.inf

    def gate(self, principal: str, route: str | None) -> "Gate | None":
        """Where requests of `principal` to `route` pay (None: each of their events finds its own); None if nothing is
        asked of them. An empty principal is anybody: only routes hold it to something."""
        account = self.accounts.of(principal)
        if not self.accounts.asks(account, route):
            return None
        return Gate(self, account, self.accounts.pair(account, route))

    def refusal(self, principal: str, route: str | None, bucket: Bucket, seconds: float) -> TooMany:
        """What is told to who has to wait so long for this bucket."""
        quota = f"{bucket.name}_{bucket.unit}"
        label = principal if principal in self._named or not principal else OTHER
        self._meter.quota_refusals[label, route or "", quota] += 1
        if (now := self.now()) - self._told_at >= TOLD_SECONDS:
            self._told_at = now
            extra = {"principal": principal, "route": route or "", "quota": quota}
            log.warning("a producer is over its quota, and is answered 429", extra=extra)
        seconds = round(seconds, 6)
        quantity, window = max(1, int(bucket.rate * bucket.burst)), max(1, math.ceil(bucket.burst))
        return TooMany(
            Code.OVER_QUOTA,
            f"the quota {_WORDS[bucket.name]} is {bucket.rate:g} {bucket.unit} a second, of which those of "
            f"{bucket.burst:g} s may come at once; it is used up",
            seconds,
            {
                # draft-ietf-httpapi-ratelimit-headers-10
                "RateLimit-Policy": f'"{quota}";q={quantity};w={window};qu="{_UNITS[bucket.unit]}"',
                "RateLimit": f'"{quota}";r=0;t={max(1, math.ceil(seconds))}',
            },
            quota=quota,
        )


class Gate:
    """Where the requests of one principal to one route pay: a head has it, so that nothing is looked up."""

    __slots__ = ("account", "pair", "quotas")

    def __init__(self, quotas: Quotas, account: Account, pair: Pair) -> None:
        self.quotas = quotas
        self.account = account
        self.pair = pair

    def enter(self, size: int) -> "Toll":
        """Pay for the `size` bytes of a body that is to be read, 0 if they are not known yet. Raises TooMany
        (OVER_QUOTA), having paid nothing."""
        pair, now = self.pair, self.quotas.now()
        for bucket in pair.bytes:
            if bucket.wait(size or 1, now):
                self._refuse(size, now)
        for bucket in pair.events:
            if bucket.wait(1, now):
                self._refuse(size, now)
        for bucket in pair.bytes:
            bucket.take(size, now)
        return Toll(self, size)

    def _refuse(self, size: int, now: float) -> None:
        """Raise the refusal of a request that has, for all that is known of it, as many events as the last one."""
        pair = self.pair
        raise self.refusal(
            [*((bucket, size or 1) for bucket in pair.bytes), *((each, pair.last_events) for each in pair.events)], now
        )

    def refusal(self, charges: Sequence[Charge], now: float) -> TooMany:
        """The refusal that names the bucket of them that is to be waited for longest."""
        bucket, amount = max(charges, key=lambda each: each[0].wait(each[1], now))
        return self.quotas.refusal(self.account.name, self.pair.route, bucket, bucket.wait(amount, now))


class Toll:
    """What one request has paid."""

    __slots__ = ("_beyond", "_counted", "_events", "_gate", "_size")

    def __init__(self, gate: Gate, size: int) -> None:
        """`size`: bytes that are paid for."""
        self._gate = gate
        self._size = size
        self._counted = False
        self._events = 0
        """That are paid for."""
        self._beyond: Sequence[Charge] = ()
        """Paid by events that found their own routes, to these."""

    def count(self, events: int, size: int, routes: Mapping[str, tuple[int, int]] | None = None) -> None:
        """Pay for what was read: so many events in `size` bytes. `routes`: by route how many of them and of their
        bytes, where each finds its own. Raises TooMany (OVER_QUOTA), having paid for what was read and nothing more.
        Only the first call counts.
        """
        if self._counted:
            return
        self._counted = True
        gate = self._gate
        pair, now = gate.pair, gate.quotas.now()
        pair.last_events = events
        beyond = self._charges(routes) if routes else ()
        within = True
        for bucket in pair.events:
            within = within and not bucket.wait(events, now)
        for bucket, amount in beyond:
            within = within and not bucket.wait(amount, now)
        if size > self._size:
            for bucket in pair.bytes:
                within = within and not bucket.wait(size, now, self._size)
            self._pay(size, now)
        if not within:
            # when it comes again, it pays for its bytes again
            charges = [(bucket, events) for bucket in pair.events] + [(bucket, size) for bucket in pair.bytes]
            raise gate.refusal([*charges, *beyond], now)
        for bucket in pair.events:
            bucket.take(events, now)
        for bucket, amount in beyond:
            bucket.take(amount, now)
        self._events, self._beyond = events, beyond

    def _charges(self, routes: Mapping[str, tuple[int, int]]) -> list[Charge]:
        """What events and bytes pay to the routes that they found."""
        gate = self._gate
        return [
            (bucket, events if bucket.unit == EVENTS else size)
            for route, (events, size) in routes.items()
            for bucket in gate.quotas.accounts.pair(gate.account, route).beyond
        ]

    def refuse(self, error: Exception, received: int | None) -> None:
        """The request was refused as a whole once so many bytes of its body had come, or (None) all: nothing of it was
        taken. With our own trouble it has cost nothing; else it has paid for what was read."""
        ours = isinstance(error, Unavailable | Defect)
        if ours:
            self.end(0)
        elif not self._counted and received is not None:
            self.end(received)
        for bucket in self._gate.pair.events:
            bucket.give_back(self._events)
        for bucket, amount in self._beyond:
            if ours or bucket.unit == EVENTS:
                bucket.give_back(amount)
        self._events, self._beyond = 0, ()

    def end(self, received: int) -> None:
        """So many bytes came, or are to be paid for, whatever was announced."""
        if received > self._size:
            self._pay(received, self._gate.quotas.now())
        elif received < self._size:
            for bucket in self._gate.pair.bytes:
                bucket.give_back(self._size - received)
            self._size = received

    def _pay(self, size: int, now: float) -> None:
        """Have paid for so many bytes, which are more than so far."""
        for bucket in self._gate.pair.bytes:
            bucket.take(size - self._size, now)
        self._size = size
