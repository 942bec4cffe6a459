"""A pipeline with a journal and scripted sinks, in the running loop, from a configuration as it would be written."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from textwrap import dedent

from service.building import build
from service.config import load
from service.delivery.intake import Intake
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.event import Event
from service.journal.feeder import Feeder
from service.journal.journal import Journal
from service.journal.journals import Journals
from service.receipt import Receipt
from service.telemetry.meter import Meter
from tests.flow.scripted import all_settled, event
from tests.http.scripted import Scripted, entered

SECONDS = 20.0
"""After which what a test waits for is not coming."""


class Journaled:
    """The pipeline, and the shortest ways to its parts."""

    def __init__(self, pipeline: Pipeline, sinks: dict[str, Scripted], meter: Meter) -> None:
        assert isinstance(pipeline.stored, Journals)
        assert pipeline.stored.own is not None
        self.pipeline = pipeline
        self.journal: Journal = pipeline.stored.own
        self.sinks = sinks
        self.meter = meter

    def lane(self, sink: str) -> Lane:
        """The lane before a sink."""
        return self.pipeline.lanes[sink]

    def feeder(self, sink: str, route: str = "r") -> Feeder:
        """The feeder of a sink."""
        feeders = self.journal._streams[route].feeders.values()
        return next(each for each in feeders if each.lane.name == sink)

    def accept(self, events: Sequence[Event]) -> Receipt:
        """The receipt of one request."""
        intake = Intake()
        for each in events:
            intake.add(self.pipeline.routes[each.route], each)
        return self.pipeline.accept(intake)

    async def store(self, events: Sequence[Event]) -> Receipt:
        """The same, once it is settled."""
        receipt = self.accept(events)
        async with asyncio.timeout(SECONDS):
            await all_settled(receipt)
        return receipt

    async def stored(self, events: Sequence[Event]) -> None:
        """Store events, whatever comes of their delivery."""
        assert (await self.store(events)).all_delivered

    def taken(self, sink: str) -> list[str]:
        """Ids of what a sink acknowledged, in order."""
        return [each.id for each in self.sinks[sink].taken]

    async def empty(self) -> None:
        """Return once everything is settled, and the journal has heard of it."""
        before = self.journal._usage
        await until(lambda: self.journal._usage is not before and not any(self.journal._usage.waiting.values()))


async def until(holds: Callable[[], bool]) -> None:
    """Return once `holds` is true."""
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.002)


def events(first: int, last: int, size: int = 100, route: str = "r", key: str | None = None) -> list[Event]:
    """Events `e<first>` to `e<last>`."""
    return [event(number, size, route, key) for number in range(first, last + 1)]


def ids(first: int, last: int) -> list[str]:
    """Their ids."""
    return [f"e{number}" for number in range(first, last + 1)]


@asynccontextmanager
async def journaled(
    folder: Path,
    main: str = "",
    to: str = "main",
    journal: str = "",
    seconds: float = 0.0,
) -> AsyncIterator[Journaled]:
    """A route `r` with these sinks, of `main`, `loose` and `dead`, and these settings of the sink `main` and the
    journal. It ends after a drain of so many `seconds`. Before the first wait nothing has been handed over."""
    path = folder / "penstock.yaml"
    sink = 'type: "tests.http.scripted:Scripted"'
    text = f"""
        journal: {{path: journal, volume: ephemeral, {journal or "min_free: 0"}}}
        sinks:
          main: {{{sink}, {main}}}
          loose: {{{sink}, memory: 64KiB, largest: 20KiB}}
          dead: {{{sink}}}
        routes: {{r: {{ack: stored, key: "header:x-key", dead_letter: dead, to: [{to}]}}}}
    """
    path.write_text(dedent(text))
    meter = Meter()
    async with AsyncExitStack() as stack:
        entered.clear()
        pipeline = await build(load(path, {}), meter, stack)
        sinks = dict(entered)
        entered.clear()
        yield Journaled(pipeline, sinks, meter)
        await pipeline.drain(seconds)
    await until(lambda: not open_files(folder))


def open_files(folder: Path) -> list[str]:
    """Files of a folder that this process has open."""
    names = []
    for each in os.listdir("/dev/fd"):
        with contextlib.suppress(FileNotFoundError):  # another thread has closed it since
            names.append(os.path.realpath(f"/dev/fd/{each}"))
    return [name for name in names if name.startswith(f"{folder}/")]
