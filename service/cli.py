"""The command line: `penstock serve | dev | check | doctor | config | send | key | healthcheck | dlq | journal |
generate | top | openapi`.

Exit codes: 0 all is well; 1 something failed, and it was said what; 2 wrong usage; 3 the service ended with events
that it had to give back.

Each command imports what it needs when it runs, so that none waits for what only others use.
"""

import gc
import sys
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service import __version__, dlq_command, generate_command, journal_command, key_command, top_command
from service.errors import ConfigError, StartError
from service.signals import end_when_told
from service.terminal import FAILED, Ca, ClientCertificate, ClientKey, File, fail, fail_with, loaded, trust
from service.units import counted

if TYPE_CHECKING:
    from service.config import Config

GIVEN_BACK = 3

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Penstock: a streaming ingestion gateway for AWS that answers for every event.",
)
app.add_typer(dlq_command.app, name="dlq")
app.add_typer(journal_command.app, name="journal")
app.add_typer(generate_command.app, name="generate")
app.command()(top_command.top)
app.command()(key_command.key)


def main() -> None:
    """Entry point of the `penstock` command."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"penstock {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@app.command()
def serve(config: File = None) -> None:
    """Run the service until SIGTERM or SIGINT; a second signal ends it at once.

    On the first signal it keeps serving while load balancers notice, then delivers what it holds. Exits with 0 if
    everything it took was settled, with 3 if it had to give events back to their producers.
    """
    gc.disable()  # until a port is open (`gateway.freeze_later`)
    end_when_told()
    from service.config.load import DEFAULT_FOLDER

    found = loaded(config)
    if found.origin is None:
        typer.echo(
            f"No configuration file: events are written to ./{DEFAULT_FOLDER}, and only this machine may send. "
            "Give one with --config.",
            err=True,
        )
    _run(found)


@app.command()
def dev(config: File = None) -> None:
    """Run the service with the terminal in place of every sink: no AWS, no Kafka, nothing is kept."""
    gc.disable()
    end_when_told()
    _run(loaded(config, printing=True))


@app.command()
def check(config: File = None) -> None:
    """Check the configuration, without a network: every mistake at once, each with its place."""
    found = loaded(config)
    for warning in found.warnings:
        typer.echo(f"note: {warning}", err=True)
    origin = found.origin or "the built-in configuration"
    sizes = f"{counted(len(found.sinks), 'sink')}, {counted(len(found.routes), 'route')}"
    more = f", {counted(len(found.sources), 'source')}" if found.sources else ""
    typer.echo(f"{origin}: no mistakes; {sizes}{more}")


@app.command()
def doctor(
    config: File = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the configuration and, over the network, every destination and source. Sends no data.

    Says what was found and what to do. Exits with 1 only for problems; warnings and notes are told.
    """
    import asyncio

    from service.doctor import report
    from service.doctor.collecting import examine

    found = asyncio.run(examine(loaded(config)))
    typer.echo(report.as_json(found) if as_json else report.as_text(found), nl=False)
    if any(map(report.problems, found)):
        raise typer.Exit(FAILED)


@app.command("config")
def show(config: File = None) -> None:
    """Print the effective configuration, with every default and override; secrets are masked."""
    from service.config.reference import effective

    typer.echo(effective(loaded(config)), nl=False)


@app.command()
def healthcheck(config: File = None) -> None:
    """Ask the service on this machine whether it is alive: /livez of its admin port, for a container's health check.

    Exits with 0 if it is, with 1 and the reason if it is not.
    """
    import os

    from service.healthcheck import ask, where

    try:
        trouble = ask(where(config, os.environ))
    except ConfigError as error:
        fail(error.mistakes[0])
    if trouble:
        fail(trouble)


@app.command()
def send(
    route: Annotated[str, typer.Argument(help="A route's name, or `events` to route CloudEvents by type.")],
    file: Annotated[Path, typer.Argument(help="JSON, or JSON lines (.ndjson, .jsonl); - reads standard input.")],
    url: Annotated[str, typer.Option(help="Address of the service.")] = "http://127.0.0.1:8080",
    content_type: Annotated[str | None, typer.Option(help="Media type, if the file's name does not tell.")] = None,
    key: Annotated[str | None, typer.Option(envvar="PENSTOCK_KEY", help="API key; better in PENSTOCK_KEY.")] = None,
    ca: Ca = None,
    client_cert: ClientCertificate = None,
    client_key: ClientKey = None,
) -> None:
    """Send the events in a file, and print what became of each. Exits with 0 only if all are delivered or stored."""
    from service.client import post

    try:
        body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror}")
    trusted = trust(ca, client_cert, client_key)
    try:
        status, text, retry_after = post(url, route, body, content_type or _media_type(file), key, trusted)
    except OSError as error:
        fail(f"{url}: no answer: {error}; is the service running there?")
    typer.echo(text)
    typer.echo(f"{status}" + (f", retry after {retry_after} s" if retry_after else ""), err=True)
    if status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
        raise typer.Exit(FAILED)


@app.command()
def openapi(
    body: Annotated[
        list[str] | None, typer.Option(help="A media type to keep of requests; repeat. Absent: all.")
    ] = None,
) -> None:
    """Print the API's description (OpenAPI 3.1). For a generated client: `--body application/json`."""
    from service.app import undriven
    from service.http.openapi import as_yaml, with_bodies

    document = undriven().api.openapi()
    typer.echo(as_yaml(with_bodies(document, body) if body else document), nl=False)


@app.command(hidden=True)
def settings() -> None:
    """Print docs/configuration.md, from the settings models."""
    from service.config.reference import reference

    typer.echo(reference(), nl=False)


def _media_type(file: Path) -> str:
    return "application/x-ndjson" if file.suffix in (".ndjson", ".jsonl") else "application/json"


def _run(config: "Config") -> None:
    import asyncio

    import uvloop

    from service.telemetry import logs

    if config.server.workers == 1:
        from service.app import serve as run
    else:
        from service.workers.supervisor import serve as run

    logs.setup(config.logs.level, config.logs.form, values=config.logs.values)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            everything_settled = runner.run(run(config))
    except ConfigError as error:
        fail_with(error)
    except StartError as error:
        fail(str(error))
    if not everything_settled:
        raise typer.Exit(GIVEN_BACK)


if __name__ == "__main__":
    main()
