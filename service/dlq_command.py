"""`penstock dlq list | show | replay | purge`: what can be done with dead letters, from the command line.

Exit codes: 0 all that was asked for is done; 1 something is left, and it was said what; 2 wrong usage.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from service.dlq_options import (
    S3,
    Chosen,
    Route,
    Sink,
    State,
    address,
    choosing,
    options_of,
    per_second,
    selected,
    sinks,
)
from service.terminal import FAILED, Ca, ClientCertificate, ClientKey, File, fail, loaded, trust
from service.units import counted

if TYPE_CHECKING:
    from ssl import SSLContext

    from service.config import Config
    from service.dlq.errand import Report
    from service.dlq.letter import Letter
    from service.dlq.replay import Plan, Tally
    from service.dlq.stores import Options

T = TypeVar("T")

PROGRESS_SECONDS = 2.0

app = typer.Typer(no_args_is_help=True, help="Dead letters: list them, show one, send them again, remove them.")


@app.command("list")
@choosing
def list_(
    letters: Chosen,
    limit: Annotated[int, typer.Option(min=0, help="Most letters of a sink; 0 for all.")] = 100,
    json: Annotated[bool, typer.Option("--json", help="A line of JSON for each, without the body.")] = False,
    s3: S3 = None,
    state: State = None,
) -> None:
    """Show the letters that are not settled, as a table. Changes nothing."""
    from service.dlq import showing
    from service.dlq.errand import survey

    options = options_of(letters.config, s3, state, letters.selection)
    rows: list[tuple[str, ...]] = []

    def each(letter: "Letter", place: str) -> None:
        del place
        if json:
            typer.echo(showing.as_json(letter))
        else:
            rows.append(showing.row(letter))

    reports = [
        _run(survey(letters.config, name, options, letters.selection, limit or None, each)) for name in letters.sinks
    ]
    if rows:
        typer.echo(showing.table(rows))
    for report in reports:
        more = " (there are more: --limit)" if report.more else ""
        _tell(report, f"{counted(report.found, 'letter')}{more}")
    _end(not any(report.trouble for report in reports))


@app.command()
def show(
    id: Annotated[str, typer.Argument(help="The event's id, or ID/SINK.")],
    config: File = None,
    sink: Sink = None,
    route: Route = None,
    json: Annotated[bool, typer.Option("--json", help="The whole letter as a line of JSON.")] = False,
    body: Annotated[bool, typer.Option("--body", help="Only the event's bytes, exactly as they came.")] = False,
    s3: S3 = None,
    state: State = None,
) -> None:
    """Show every letter of one event whole, with the body."""
    from service.dlq import showing
    from service.dlq.errand import survey

    found = loaded(config, keys=False)
    selection = selected(id, route)
    letters: list[tuple[Letter, str]] = []
    reports = [
        _run(survey(found, name, options_of(found, s3, state), selection, None, lambda *each: letters.append(each)))
        for name in sinks(found, sink, route)
    ]
    for number, (letter, place) in enumerate(letters):
        if body:
            sys.stdout.buffer.write(letter.body)
            break
        typer.echo(showing.as_json(letter, body=True) if json else "\n\n" * bool(number) + showing.whole(letter, place))
    sys.stdout.flush()
    for report in reports:
        _tell(report)
    if not letters:
        typer.echo(f"there is no letter of {id!r}", err=True)
    elif body and len(letters) > 1:
        typer.echo(f"there are {len(letters)} letters of {id!r}; these are the first one's bytes", err=True)
    _end(bool(letters))


@app.command()
@choosing
def replay(
    letters: Chosen,
    limit: Annotated[int | None, typer.Option(min=1, help="Most letters of a sink.")] = None,
    to: Annotated[str | None, typer.Option(help="Route to send to; else each event's own.")] = None,
    rate: Annotated[str | None, typer.Option(help="Most events a second or minute: 50/s, 600/m.")] = None,
    url: Annotated[str | None, typer.Option(help="Address of the service; else that of the configuration.")] = None,
    key: Annotated[str | None, typer.Option(envvar="PENSTOCK_KEY", help="API key; better in PENSTOCK_KEY.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent; send and change nothing.")
    ] = False,
    ca: Ca = None,
    client_cert: ClientCertificate = None,
    client_key: ClientKey = None,
    s3: S3 = None,
    state: State = None,
) -> None:
    """Send the events again, and take each letter away once the service has answered 200. Run it again to go on."""
    from service.dlq.errand import rehearse
    from service.dlq.replay import Plan

    options = options_of(letters.config, s3, state, letters.selection, writing=not dry_run)
    most = per_second(rate)
    trusted = trust(ca, client_cert, client_key)
    complete = True
    for name in letters.sinks:
        plan = Plan(letters.selection, letters.config.routes, to, name, most, limit)
        if dry_run:
            report, counts = _run(rehearse(letters.config, options, plan))
            for (target, how), count in sorted(counts.items()):
                typer.echo(
                    f"would be sent to {target}, {how}: {count}" if target else f"cannot be sent: {how}: {count}"
                )
            _tell(report, f"{counted(report.found, 'letter')} selected; nothing was sent")
            complete = complete and not report.trouble
        else:
            where = url or address(letters.config)
            complete = _replayed(letters.config, options, plan, where, key, trusted) and complete
    _end(complete)


@app.command()
@choosing
def purge(
    letters: Chosen,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it they are only counted.")] = False,
    state: State = None,
) -> None:
    """Remove letters for good, where the store can delete."""
    from service.dlq import errand

    options = options_of(letters.config, None, state, letters.selection, writing=yes)
    complete = True
    for name in letters.sinks:
        if yes:
            report = _run(errand.purge(letters.config, name, options, letters.selection))
            _tell(report, f"{counted(report.found, 'letter')} removed")
        else:
            report = _run(errand.survey(letters.config, name, options, letters.selection, None, lambda *_: None))
            _tell(report, f"{counted(report.found, 'letter')} would be removed; nothing was: give --yes")
        complete = complete and yes and not report.trouble
    _end(complete)


def _replayed(
    config: "Config", options: "Options", plan: "Plan", url: str, key: str | None, trusted: "SSLContext | None"
) -> bool:
    from service.dlq import errand
    from service.dlq.replay import WORKERS
    from service.dlq.sender import Sender

    try:
        sender = Sender(url, key, WORKERS, trusted)
    except ValueError as error:
        fail(str(error))

    async def run() -> "Report":
        async with sender:
            return await errand.replay(config, options, sender, plan, _progress())

    report = _run(run())
    tally = report.tally
    _tell(report, f"{counted(tally.selected, 'letter')} selected, {tally.confirmed} confirmed and settled")
    lines = [
        (tally.copies, "of these not sent: another letter of the same event had just been confirmed"),
        (tally.replaced, "refused again, and replaced by the letter that the service has written now"),
        *((count, f"refused again, and kept: {why}") for why, count in tally.refused.items()),
        *((count, f"cannot be sent, and kept: {why}") for why, count in tally.unsendable.items()),
        (tally.left, "not come to, and kept"),
    ]
    for count, words in lines:
        if count:
            typer.echo(f"  {count} {words}", err=True)
    if tally.stopped:
        typer.echo(f"  stopped: {tally.stopped}", err=True)
    if report.settled_in:
        typer.echo(f"  what is settled stands in {report.settled_in}: keep it, the next run needs it", err=True)
    return tally.complete and not report.trouble


def _progress() -> "Callable[[Tally], None]":
    told_at = time.monotonic()

    def told(tally: "Tally") -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= PROGRESS_SECONDS:
            told_at = time.monotonic()
            kept = tally.refused.total() + tally.unsendable.total()
            typer.echo(f"... {tally.confirmed} confirmed, {kept} kept", err=True)

    return told


def _run(work: Coroutine[Any, Any, T]) -> T:
    from service.errors import ConfigError

    try:
        return asyncio.run(work)
    except ConfigError as error:
        fail("; ".join(error.mistakes))
    except KeyboardInterrupt:
        fail("interrupted; what was settled stays so: run it again to go on")


def _tell(report: "Report", done: str = "") -> None:
    if done and not report.trouble:
        typer.echo(f"{report.sink} ({report.place}): {done}", err=True)
    if report.trouble:
        typer.echo(f"{report.sink}: {report.trouble}", err=True)
    if report.strangers:
        typer.echo(f"  {counted(report.strangers, 'record')} that cannot be read as dead letters, left alone", err=True)
    for note in report.notes:
        typer.echo(f"  note: {note}", err=True)


def _end(complete: bool) -> None:
    if not complete:
        raise typer.Exit(FAILED)
