"""One run: whoever reads the backlog from its beginning to its end, what that cost, and whether all of it arrived."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import yaml
from msgspec import Struct

from bench import cores
from bench.bodies import SCHEMA
from bench.consume.backlog import Backlog
from bench.consume.ways import PLAIN, configuration
from bench.contestants import Ways
from bench.measure import MOST_STRANGERS, Bench, Disagreement
from bench.program import Counts
from bench.rows import Row
from bench.runs import timed
from deploy.local.child import Child, leashed
from deploy.local.emulator import isolated

LOOK_SECONDS: Final = 0.05
PATIENCE_SECONDS: Final = 60.0
"""Without anything delivered."""


class Sample(Struct, frozen=True):
    """How far it was at one moment."""

    at: float
    taken: int
    """Events, by the destination."""
    cpu_seconds: float
    """Of the contestant."""
    stubs_seconds: float
    served: cores.Core
    loaded: cores.Core


class Run(Struct, frozen=True):
    """What one run cost."""

    name: str
    per_second: float
    """Events, on the clock."""
    cpu_microseconds: float
    """CPU time of the contestant for each event."""
    peak_bytes: int
    load_core: float
    """Busy share of the core of broker and destinations."""
    strangers: float
    """Share of the contestant's core that other processes took."""

    @property
    def void(self) -> list[str]:
        """Why it does not count; empty if it does. That broker and destinations are busy does no harm."""
        if self.strangers > MOST_STRANGERS:
            return [f"{self.name}: others took {self.strangers:.0%} of the service's core"]
        return []


def between(name: str, samples: Sequence[Sample], messages: int, peak_bytes: int) -> Run:
    """What a run cost from the last look before anything was delivered until all was.

    A part of the backlog would not do: what is read ahead of it may be a good part of the whole. Raises Disagreement if
    nothing was seen between the two moments.
    """
    before = [each for each in samples if not each.taken]
    inside = [each for each in samples if 0 < each.taken < messages]
    whole = [each for each in samples if each.taken >= messages]
    if not (before and inside and whole):
        raise Disagreement(f"{name}: it was over too soon to be measured; take more messages")
    first, last = before[-1], whole[0]
    events, seconds = last.taken - first.taken, last.at - first.at
    cpu = last.cpu_seconds - first.cpu_seconds
    others = last.served.processes - first.served.processes - cpu
    return Run(
        name=name,
        per_second=events / seconds,
        cpu_microseconds=cpu / events * 1e6,
        peak_bytes=peak_bytes,
        load_core=(last.loaded.all - first.loaded.all) / seconds,
        strangers=max(0.0, others / seconds),
    )


def run(bench: Bench, row: Row | None, backlog: Backlog, folder: Path, ways: Ways) -> Run:
    """Our service on the way of `row`, or the plain loop, reads the backlog. Raises Disagreement, ChildError."""
    name = row.name if row is not None else PLAIN
    to = row.to[0] if row is not None else "kafka"
    group = f"{name}-{uuid4()}"
    before = bench.stubs.counts()
    samples: list[Sample] = []
    with _started(bench, row, backlog, group, folder, ways) as child:
        last = time.monotonic()
        while not samples or samples[-1].taken < backlog.messages:
            time.sleep(LOOK_SECONDS)
            child.check()
            sample = _sample(bench, child.pid, to, before)
            if not samples or sample.taken > samples[-1].taken:
                last = sample.at
            samples.append(sample)
            if sample.at - last > PATIENCE_SECONDS:
                raise Disagreement(f"{name}: {to} has taken {sample.taken} events of {backlog.messages}, and no more")
        peak = cores.peak_bytes(child.pid)
        code = child.stop()
    after = bench.stubs.counts()
    if wrong := complaints(backlog, to, before, after, code, backlog.uncommitted(group)):
        raise Disagreement(f"{name}: " + "; ".join(wrong))
    found = between(name, samples, backlog.messages, peak)
    void = f", VOID: {found.void[0]}" if found.void else ""
    print(
        f"{name}: {found.per_second:,.0f} events/s, {found.cpu_microseconds:.1f} µs, load's core "
        f"{found.load_core:.0%}, others {found.strangers:.0%}{void}",
        file=sys.stderr,
        flush=True,
    )
    return found


def complaints(backlog: Backlog, to: str, before: Counts, after: Counts, code: int, uncommitted: int) -> list[str]:
    """What contradicts that all that was produced arrived once and is committed; nothing if all is well."""
    taken = after.of(to).events - before.of(to).events
    unknown = after.of(to).unknown - before.of(to).unknown
    wrong = []
    if taken != backlog.messages:
        wrong.append(f"{to} has taken {taken} events, and {backlog.messages} were produced")
    if unknown:
        wrong.append(f"{to} did not understand {unknown} calls")
    if uncommitted:
        wrong.append(f"{uncommitted} messages were not committed")
    if code:
        wrong.append(f"it ended with {code}")
    return wrong


def _sample(bench: Bench, session: int, to: str, before: Counts) -> Sample:
    counts = bench.stubs.counts()
    return Sample(
        time.monotonic(),
        counts.of(to).events - before.of(to).events,
        cores.cpu_seconds(session),
        counts.cpu_seconds,
        cores.core(bench.service_core),
        cores.core(bench.load_core),
    )


@contextmanager
def _started(bench: Bench, row: Row | None, backlog: Backlog, group: str, folder: Path, ways: Ways) -> Iterator[Child]:
    folder.mkdir(parents=True, exist_ok=True)
    environment: Mapping[str, str] = isolated(os.environ, bench.stubs.endpoint)
    if row is None:
        command = leashed("bench.consume.plain", backlog.brokers, group, bench.stubs.bootstrap)
    else:
        tree = configuration(row, backlog.brokers, group, bench.stubs.bootstrap, bench.stubs.endpoint)
        (folder / "order.schema.json").write_text(json.dumps(SCHEMA), "utf-8")
        file = folder / "penstock.yaml"
        file.write_text(yaml.safe_dump(tree), "utf-8")
        command = leashed("service.cli", "serve", "--config", file, *ways.flags)
        environment = {**environment, **ways.environment}
    name = row.name if row is not None else PLAIN
    bound: list[str | Path] = ["taskset", "-c", str(bench.service_core), *command]
    with Child(name, bound, folder / f"{name}.log", environment, grace_seconds=30) as child:
        yield child


def primitives_of(bench: Bench, row: Row, backlog: Backlog) -> dict[str, float]:
    """Microseconds of CPU per event of each primitive of a row. Raises RuntimeError."""
    stubs = bench.stubs
    return timed(bench, "bench.consume.primitives", row.name, backlog.brokers, stubs.bootstrap, stubs.endpoint)
