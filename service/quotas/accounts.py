"""Who is held to what: the buckets of each principal, of each route, and of both."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final
from weakref import WeakValueDictionary

from service.config.quotas import PrincipalQuota, Quota, QuotasConfig, of
from service.quotas.bucket import BYTES, EVENTS, Bucket

MOST_ACCOUNTS: Final = 10_000
"""Principals that are remembered; with more those whose buckets are full are forgotten, for they are like new ones."""
LOOKS: Final = 8
"""How often all of them are looked through while as many new ones come: to look takes milliseconds."""


class Pair:
    """What one principal's requests to one route are held to, or those of which each event finds its own."""

    __slots__ = ("alone", "beyond", "bytes", "events", "last_events", "route")

    def __init__(self, route: str | None, own: Sequence[Bucket], shared: Sequence[Bucket], alone: Sequence[Bucket]):
        """`own`: the principal's. `shared`: the route's. `alone`: those of both."""
        self.route = route
        self.alone = alone
        self.beyond = [*shared, *alone]
        """Those that are about the route."""
        buckets = [*own, *self.beyond]
        self.events = [bucket for bucket in buckets if bucket.unit == EVENTS]
        self.bytes = [bucket for bucket in buckets if bucket.unit == BYTES]
        self.last_events = 1
        """How many events the last of them had: the next one has as many, for all that is known before its body."""


class Account:
    """What one principal is held to, by the routes that it has sent to."""

    __slots__ = ("__weakref__", "name", "own", "pairs")

    def __init__(self, name: str, own: Sequence[Bucket]) -> None:
        self.name = name
        self.own = own
        """The buckets that hold whichever route it sends to."""
        self.pairs: dict[str | None, Pair] = {}
        """By route; None for requests of which each event finds its own."""

    def is_full(self, now: float) -> bool:
        """Whether nothing of it is worth remembering."""
        buckets = [*self.own, *(bucket for pair in self.pairs.values() for bucket in pair.alone)]
        return all(bucket.full_at <= now for bucket in buckets)


class Accounts:
    """Everybody's. What is remembered is bounded: names come with credentials, and may be many."""

    def __init__(self, settings: QuotasConfig, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._routes: dict[str, list[Bucket]] = {}
        self._kept: OrderedDict[str, Account] = OrderedDict()
        """In the order in which they were last asked for."""
        self._before_look = 0
        """How many more may come until all are looked through again."""
        self._alive: WeakValueDictionary[str, Account] = WeakValueDictionary()
        """Those too that are kept no more, while a head still has them: a principal never has two."""

    def of(self, name: str) -> Account:
        """The principal's. Who has no name is held to nothing but what the routes are."""
        account = self._alive.get(name)
        if account is None:
            account = self._alive[name] = Account(name, buckets("principal", self._quota(name)))
        if name not in self._kept and len(self._kept) >= MOST_ACCOUNTS:
            self._forget()
        self._kept[name] = account
        self._kept.move_to_end(name)
        return account

    def pair(self, account: Account, route: str | None) -> Pair:
        """What an account's requests to a route are held to."""
        found = account.pairs.get(route)
        if found is None:
            shared: list[Bucket] = []
            alone: list[Bucket] = []
            if route is not None:
                quota = self._quota(account.name)
                alone = buckets("principal_route", of(quota.routes, route) if quota is not None else None)
                if route not in self._routes:
                    self._routes[route] = buckets("route", of(self._settings.routes, route))
                shared = self._routes[route]
            found = account.pairs[route] = Pair(route, account.own, shared, alone)
        return found

    def asks(self, account: Account, route: str | None) -> bool:
        """Whether anything is asked of an account's requests to a route."""
        if route is None:
            quota = self._quota(account.name)
            return bool(account.own or self._settings.routes or (quota is not None and quota.routes))
        pair = self.pair(account, route)
        return bool(pair.events or pair.bytes)

    def _quota(self, name: str) -> PrincipalQuota | None:
        """A principal's; None for who has no name, for anybody may be that."""
        return of(self._settings.principals, name) if name else None

    def _forget(self) -> None:
        """Those whose buckets are full, unless that was done just before; if none are, the one that was not seen for
        longest."""
        self._before_look -= 1
        if self._before_look < 0:
            now = self._clock()
            for name in [name for name, each in self._kept.items() if each.is_full(now)]:
                del self._kept[name]
            self._before_look = MOST_ACCOUNTS // LOOKS
        if len(self._kept) >= MOST_ACCOUNTS:
            self._kept.popitem(last=False)


def buckets(name: str, quota: Quota | None) -> list[Bucket]:
    """A bucket for each rate of a quota, which `name` says the kind of."""
    if quota is None:
        return []
    rates = ((EVENTS, quota.events_per_second), (BYTES, quota.bytes_per_second))
    return [Bucket(name, unit, rate, quota.burst) for unit, rate in rates if rate is not None]
