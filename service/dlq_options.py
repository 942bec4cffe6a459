"""The options of `penstock dlq`, and what they mean."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.terminal import File, fail, loaded

if TYPE_CHECKING:
    from service.config import Config
    from service.dlq.selection import Selection
    from service.dlq.stores import Options

STATE_FOLDER = "penstock-dlq"

Sink = Annotated[str | None, typer.Option(help="Sink that holds the letters; else the route's, else all that do.")]
Route = Annotated[str | None, typer.Option(help="Only letters of this route.")]
Reason = Annotated[str | None, typer.Option(help="Only this reason, such as too_large or invalid.")]
RefusedBy = Annotated[str | None, typer.Option(help="Only what this sink refused; `invalid`: what the route refused.")]
Id = Annotated[str | None, typer.Option(help="Only this event: its id, or ID/SINK.")]
Since = Annotated[str | None, typer.Option(help="Dead-lettered since: how long ago (1h, 2d), or RFC 3339.")]
Until = Annotated[str | None, typer.Option(help="Dead-lettered before; as --since.")]
S3 = Annotated[str | None, typer.Option("--s3", help="s3://BUCKET/PREFIX behind a firehose sink, if it cannot tell.")]
State = Annotated[
    Path | None,
    typer.Option(help=f"Folder of the lists of settled letters; else {STATE_FOLDER} beside the configuration."),
]


@dataclass(frozen=True)
class Chosen:
    """Which letters a command is about, and where they are."""

    config: "Config"
    sinks: list[str]
    selection: "Selection"


def chosen(
    config: File = None,
    sink: Sink = None,
    route: Route = None,
    reason: Reason = None,
    refused_by: RefusedBy = None,
    id: Id = None,
    since: Since = None,
    until: Until = None,
) -> Chosen:
    """What these options choose. Raises BadParameter; ends the command if the configuration has mistakes."""
    found = loaded(config, keys=False)
    selection = selected(id, route, reason, refused_by, since, until)
    return Chosen(found, sinks(found, sink, route), selection)


def choosing(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with the options of `chosen` before its own: what they choose is its first argument."""
    options = signature(chosen, eval_str=True).parameters
    own = tuple(signature(command, eval_str=True).parameters.values())[1:]

    def run(**given: Any) -> None:
        command(chosen(**{name: given.pop(name) for name in options}), **given)

    run.__signature__ = Signature([*options.values(), *own])  # type: ignore[attr-defined]  # where typer looks
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def selected(
    id: str | None,
    route: str | None,
    reason: str | None = None,
    refused_by: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> "Selection":
    """The letters that are meant. Raises BadParameter."""
    from datetime import UTC, datetime

    from service.dlq.selection import Selection, moment
    from service.outcome import Reason

    if reason is not None and reason not in {each.value for each in Reason}:
        raise typer.BadParameter(f"{reason!r} is no reason; there are: {', '.join(each.value for each in Reason)}")
    now = datetime.now(UTC)
    try:
        first, last = (moment(text, now) if text is not None else None for text in (since, until))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return Selection(id, route, reason, refused_by, first, last)


def options_of(
    config: "Config", s3: str | None, state: Path | None, selection: "Selection | None" = None, writing: bool = False
) -> "Options":
    """How stores are opened. Raises BadParameter."""
    from service.dlq.s3 import parse_s3
    from service.dlq.stores import Options

    try:
        place = parse_s3(s3) if s3 is not None else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    beside = config.origin.parent if config.origin is not None else Path()
    return Options(state or beside / STATE_FOLDER, place, selection.since if selection else None, writing)


def sinks(config: "Config", sink: str | None, route: str | None) -> list[str]:
    """The sinks to look into; ends the command if there is none."""
    from service.dlq.errand import sinks_of

    try:
        return sinks_of(config, sink, route)
    except ValueError as error:
        fail(str(error))


def per_second(rate: str | None) -> float | None:
    """Events a second. Raises BadParameter."""
    if rate is None:
        return None
    number, _, unit = rate.partition("/")
    try:
        found = float(number) / {"": 1, "s": 1, "m": 60}[unit]
    except (ValueError, KeyError):
        found = 0.0
    if not 0 < found < 1e6:
        raise typer.BadParameter(f"{rate!r} is no rate: write 50/s or 600/m")
    return found


def address(config: "Config") -> str:
    """Where the service of this configuration is reached from this machine."""
    host = config.server.host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared only
        host = "127.0.0.1"
    scheme = "http" if config.server.tls is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{config.server.port}"
