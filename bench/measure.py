"""One run of load against one contestant: what it did and cost, whether it counts, and whether it told the truth."""

import time
from collections.abc import Callable, Sequence
from math import nan
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from bench import cores
from bench.contestants import Contestant, Side
from bench.program import Counts, Load, Order, Stubs, connected
from bench.rows import Row

MOST_LOAD_CORE = 0.9
"""Busy share of the load's core above which a run is void: what is measured may then be the load."""
MOST_STRANGERS = 0.05
"""Share of the service's core taken by others above which a run is void."""
SETTLING_SECONDS = 2.0
SAFE = ("200", "202")
"""Statuses of requests whose events are all delivered, or all stored."""
LATE = "not answered in time"
"""The load generator's name for requests that were under way when its patience was over."""


AGAIN = 3
"""How often a run that something disturbed is run again, before what it says stands, void."""

R = TypeVar("R")


class Disagreement(Exception):
    """A destination has not taken what was acknowledged, or a request was not answered with success."""


class Measured(Struct, frozen=True):
    """One run."""

    side: Side
    per_second: float
    """Acknowledged events."""
    p50_ms: float
    p99_ms: float
    p999_ms: float
    cpu_microseconds: float
    """CPU time of the contestant for each event."""
    peak_bytes: int
    """Most resident memory so far."""
    load_core: float
    """Busy share of the core of load and destinations, whoever was busy."""
    load_cpu: float
    """Of it, the load generator's."""
    stubs_cpu: float
    """And the destinations'."""
    strangers: float
    """Share of the contestant's core that other processes took."""
    headers: float
    """Kafka: share of the records that came with headers; nan where there were no records."""
    fell_behind: bool = False
    """Open loop: not all that was due could be sent and answered."""
    acknowledged: int = 0
    """Events."""

    @property
    def void(self) -> list[str]:
        """Why this run does not count; empty if it does."""
        reasons = []
        if self.load_core > MOST_LOAD_CORE:
            reasons.append(f"the load's core was {self.load_core:.0%} busy")
        if self.strangers > MOST_STRANGERS:
            reasons.append(f"others took {self.strangers:.0%} of the service's core")
        return reasons


class Bench(Struct, frozen=True):
    """What every run needs."""

    program: Path
    stubs: Stubs
    service_core: int
    load_core: int

    def measure(
        self, contestant: Contestant, row: Row, seconds: float, rate: float = 0.0, connections: int = 0
    ) -> Measured:
        """Load for `seconds`: closed loop, or `rate` requests a second. Raises Disagreement."""
        order = Order(
            requests=contestant.requests,
            address=contestant.address,
            events=row.events,
            connections=connections or row.connections_of(contestant.side is Side.NAIVE),
            seconds=seconds,
            rate=rate,
        )
        with connected(self.program, order) as send:
            _settle(contestant.session)
            before, cpu = self.stubs.counts(), cores.cpu_seconds(contestant.session)
            served, loaded = cores.core(self.service_core), cores.core(self.load_core)
            found = send()
            cpu = cores.cpu_seconds(contestant.session) - cpu
            others = cores.core(self.service_core).processes - served.processes - cpu
            busy = cores.core(self.load_core).all - loaded.all
            after = self.stubs.counts()
        to = () if contestant.side is Side.CEILING or row.ack == "stored" else row.counted
        if wrong := complaints(found, row.events, to, before, after):
            raise Disagreement(f"{row.name}, {contestant.side}: " + "; ".join(wrong))
        records = after.kafka.records - before.kafka.records
        return Measured(
            side=contestant.side,
            per_second=found.per_second,
            p50_ms=found.p50_ms,
            p99_ms=found.p99_ms,
            p999_ms=found.p999_ms,
            cpu_microseconds=cpu / max(1, found.acknowledged) * 1e6,
            peak_bytes=cores.peak_bytes(contestant.session),
            load_core=busy / found.seconds,
            load_cpu=found.cpu_share,
            stubs_cpu=(after.cpu_seconds - before.cpu_seconds) / found.seconds,
            strangers=max(0.0, others / found.seconds),
            headers=(after.kafka.with_headers - before.kafka.with_headers) / records if records else nan,
            fell_behind=bool(found.unsent or LATE in found.errors),
            acknowledged=found.acknowledged,
        )


def undisturbed(run: Callable[[], R], reasons: Callable[[R], Sequence[str]]) -> R:
    """What `run` finds, run again while there are `reasons` why it does not count, AGAIN times at most."""
    found = run()
    for _ in range(AGAIN):
        if not reasons(found):
            break
        found = run()
    return found


def _settle(session: int) -> None:
    """Return once a contestant has accepted its connections and is idle; after SETTLING_SECONDS in any case."""
    deadline = time.monotonic() + SETTLING_SECONDS
    spent = -1.0
    while (now := cores.cpu_seconds(session)) > spent and time.monotonic() < deadline:
        spent = now
        time.sleep(0.05)


def complaints(found: Load, events: int, to: Sequence[str], before: Counts, after: Counts) -> list[str]:
    """What contradicts that each destination took exactly what was acknowledged; nothing if all is well.

    A request that was not answered in time may have been delivered: so many more a destination may have.
    """
    bad = {status: count for status, count in found.statuses.items() if status not in SAFE}
    wrong = [f"{count} answers {status}: {found.sample}" for status, count in bad.items()]
    wrong += [f"{count} times: {error}" for error, count in found.errors.items() if error != LATE]
    if not found.requests:
        wrong.append("nothing was answered")
    may_be_more = found.errors.get(LATE, 0) * events
    for name in to:
        taken = after.of(name).events - before.of(name).events
        if not found.acknowledged <= taken <= found.acknowledged + may_be_more:
            wrong.append(f"{name} has taken {taken} events, and {found.acknowledged} were acknowledged")
        if unknown := after.of(name).unknown - before.of(name).unknown:
            wrong.append(f"{name} did not understand {unknown} calls")
    return wrong
