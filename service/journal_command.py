"""`penstock journal status | verify | drain`: what an operator sees of stored events, and does with them.

Exit codes: 0 all is well, or done; 1 something is damaged, left or needs a person, and it was said what; 2 wrong usage.
"""

import asyncio
import json as json_
from typing import TYPE_CHECKING, Annotated

import typer

from service.terminal import FAILED, File, fail, fail_with, loaded
from service.units import counted, parse_duration

if TYPE_CHECKING:
    from service.config import Config
    from service.journal.inspection import Survey

app = typer.Typer(no_args_is_help=True, help="Stored events: what waits, whether it can be read, delivering the rest.")


@app.command()
def status(
    config: File = None,
    json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Show what waits in each worker's journal, and what needs a person. Reads beside the service; changes nothing."""
    from service.journal import showing
    from service.journal.inspection import is_orphan, troubles, ways

    found = loaded(config, keys=False)
    surveys, known = _surveys(found), ways(found)
    told = [troubles(each, found) for each in surveys]
    if json:
        shown = [
            showing.members(each, trouble, [is_orphan(waiting, known) for waiting in each.waiting])
            for each, trouble in zip(surveys, told, strict=True)
        ]
        typer.echo(json_.dumps({"path": str(found.journal.path), "journals": shown}))
    else:
        for each, trouble in zip(surveys, told, strict=True):
            typer.echo(showing.text(each, trouble))
        if not surveys:
            typer.echo(_nothing(found))
    if any(told):
        raise typer.Exit(FAILED)


@app.command()
def verify(config: File = None) -> None:
    """Read all that is stored, and say what of it can be read. Works beside the service; changes nothing."""
    from service.journal import showing
    from service.journal.opening import folders
    from service.journal.verification import verify as examined

    found = loaded(config, keys=False)
    sound = True
    try:
        there = folders(found.journal.path)
    except OSError as error:
        fail(f"journal.path: {found.journal.path} cannot be read: {error.strerror}")
    for folder in there.values():
        finding = examined(folder)
        typer.echo(showing.verdict(str(folder), finding))
        sound = sound and finding.sound
    if not there:
        typer.echo(_nothing(found))
    if not sound:
        raise typer.Exit(FAILED)


@app.command()
def drain(
    config: File = None,
    timeout: Annotated[str | None, typer.Option(help="Longest time, such as 30m; absent: until all is done.")] = None,
    orphans_to: Annotated[
        str | None,
        typer.Option(help="Sink that gets, as dead letters, what is of routes or sinks that are no more."),
    ] = None,
) -> None:
    """Deliver what every journal below journal.path holds, without HTTP, while the service is stopped.

    Exits with 0 once all of them are empty. It may be interrupted, and run again. Nothing goes that is not delivered,
    or safe among the dead letters.
    """
    from service.draining import remaining
    from service.errors import ConfigError

    try:
        seconds = parse_duration(timeout) if timeout is not None else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--timeout") from None
    found = loaded(config, keys=False)
    if orphans_to is not None and orphans_to not in found.sinks:
        raise typer.BadParameter(f"there is no sink {orphans_to!r}", param_hint="--orphans-to")
    try:
        asyncio.run(_drained(found, orphans_to, seconds))
    except ConfigError as error:
        for mistake in error.mistakes:
            typer.echo(mistake, err=True)
        fail("nothing more was delivered")
    surveys = _surveys(found)
    left = remaining(surveys)
    for each in left:
        typer.echo(each, err=True)
    if left:
        fail("not all is delivered; run it again to go on, and see `penstock journal verify` for what cannot be read")
    typer.echo(f"{found.journal.path}: {counted(len(surveys), 'journal')}, all empty")


async def _drained(config: "Config", heir: str | None, seconds: float | None) -> None:
    from service.draining import drain as drained
    from service.signals import heard
    from service.telemetry import logs

    def told(name: str, left: int, unreadable: int) -> None:
        damaged = f", {unreadable} of them cannot be read" if unreadable else ""
        typer.echo(f"... {name}: {left} left{damaged}", err=True)

    logs.setup(config.logs.level, config.logs.form, values=config.logs.values)
    stop = asyncio.Event()
    with heard(stop.set, stop.set):
        await drained(config, heir, seconds, stop, told)


def _surveys(config: "Config") -> "list[Survey]":
    from service.errors import ConfigError
    from service.journal.inspection import surveys

    try:
        return surveys(config)
    except ConfigError as error:
        fail_with(error)


def _nothing(config: "Config") -> str:
    return f"{config.journal.path}: there is no journal"
