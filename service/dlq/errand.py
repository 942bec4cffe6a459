"""What `penstock dlq` does with the letters of one sink: look, take away, send again. Each tells what it did."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field

from service.config import Config
from service.dlq.letter import Letter, NotALetterError
from service.dlq.posting import UnsendableError, posting
from service.dlq.reader import StoreError, unsettled
from service.dlq.replay import Plan, Replay, Tally
from service.dlq.selection import Selection
from service.dlq.sender import Sender
from service.dlq.stores import Options, opened


@dataclass
class Report:
    """What was done at one sink, or why nothing was."""

    sink: str
    place: str = ""
    found: int = 0
    """Letters that were selected."""
    strangers: int = 0
    """Records that are no letters."""
    more: bool = False
    """Whether it ended at its limit."""
    trouble: str = ""
    settled_in: str = ""
    """The list of settled letters, where letters were settled and the store still has them."""
    notes: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


def sinks_of(config: Config, sink: str | None, route: str | None) -> list[str]:
    """The sinks to look into: the one that is named, the route's, or all that get dead letters. Raises ValueError."""
    if sink is not None:
        if sink not in config.sinks:
            raise ValueError(f"there is no sink {sink!r}; there are: {', '.join(config.sinks)}")
        return [sink]
    if route is not None:
        if route not in config.routes:
            raise ValueError(
                f"there is no route {route!r}; there are: {', '.join(config.routes)}. For letters of a route that is "
                "gone name the sink too: --sink"
            )
        letters = config.routes[route].dead_letter
        if letters is None:
            raise ValueError(f"route {route!r} has no `dead_letter`; name the sink: --sink")
        return [letters.sink]
    found = dict.fromkeys(each.dead_letter.sink for each in config.routes.values() if each.dead_letter is not None)
    if not found:
        raise ValueError("no route has a `dead_letter`; name the sink: --sink")
    return list(found)


async def survey(
    config: Config,
    sink: str,
    options: Options,
    selection: Selection,
    limit: int | None,
    each: Callable[[Letter, str], None],
) -> Report:
    """Hand every selected letter that is not settled to `each`, with its place, and change nothing."""
    report = Report(sink)
    with ExitStack() as stack:
        try:
            reader, settled = await opened(config, sink, options, stack)
            report.place, report.notes = reader.place, reader.notes
            async with reader, aclosing(unsettled(reader, settled, removing=False)) as letters:
                async for stored in letters:
                    try:
                        letter = Letter.parse(stored.raw)
                    except NotALetterError:
                        report.strangers += 1
                        continue
                    if selection.takes(letter):
                        if limit is not None and report.found >= limit:
                            report.more = True
                            break
                        report.found += 1
                        each(letter, reader.place)
        except StoreError as error:
            report.trouble = str(error)
    return report


async def purge(config: Config, sink: str, options: Options, selection: Selection) -> Report:
    """Take every selected letter away, if the store can delete; else nothing is done, and `trouble` says so."""
    report = Report(sink)
    with ExitStack() as stack:
        try:
            reader, settled = await opened(config, sink, options, stack)
            report.place, report.notes = reader.place, reader.notes
            if not reader.deletes:
                report.trouble = f"{reader.place} cannot delete single letters: they go when its retention ends"
                return report
            async with reader, aclosing(unsettled(reader, settled, removing=True)) as letters:
                async for stored in letters:
                    try:
                        letter = Letter.parse(stored.raw)
                    except NotALetterError:
                        report.strangers += 1
                        continue
                    if selection.takes(letter):
                        settled.add(stored.position)
                        await reader.remove(stored)
                        report.found += 1
        except StoreError as error:
            report.trouble = str(error)
    return report


async def replay(config: Config, options: Options, sender: Sender, plan: Plan, told: Callable[[Tally], None]) -> Report:
    """Send every selected letter's event again. What cannot be told from the tally is in the report."""
    report = Report(plan.sink)
    with ExitStack() as stack:
        run = None
        try:
            reader, settled = await opened(config, plan.sink, options, stack)
            report.place, report.notes = reader.place, reader.notes
            async with reader:
                run = Replay(reader, settled, sender, plan, told)
                await run.run()
            if len(settled):
                report.settled_in = str(settled.path)
        except StoreError as error:
            report.trouble = str(error)
        if run is not None:
            report.tally = run.tally
            report.found, report.strangers = run.tally.selected, run.tally.strangers
    return report


async def rehearse(config: Config, options: Options, plan: Plan) -> tuple[Report, Counter[tuple[str, str]]]:
    """What `replay` would send, counted by route and by how the event is named; nothing is sent, nothing changes."""
    counts: Counter[tuple[str, str]] = Counter()

    def count(letter: Letter, place: str) -> None:
        del place
        try:
            found = posting(letter, plan.to, plan.routes)
        except UnsendableError as error:
            counts["", str(error)] += 1
            return
        counts[found.route, _form(found.headers)] += 1

    return await survey(config, plan.sink, options, plan.selection, plan.limit, count), counts


def _form(headers: Iterable[str]) -> str:
    names = {name.lower() for name in headers}
    if "ce-id" in names:
        return "as CloudEvent in binary mode"
    return "with its id as Idempotency-Key" if "idempotency-key" in names else "as it came"
