"""`penstock key`: a new API key, and what is kept of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from service.terminal import File, fail, fail_with, loaded


def key(
    name: Annotated[str, typer.Argument(help="Whose key: letters, digits, - and _.")],
    route: Annotated[list[str] | None, typer.Option(help="A route that it may send to; repeat. Absent: all.")] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days after which it ends. Absent: never.")
    ] = None,
    pepper_file: Annotated[
        Path | None, typer.Option(help="File of the pepper, if not the one that the configuration names.")
    ] = None,
    config: File = None,
) -> None:
    """Make an API key: the key for the producer, and the entry for the list, which holds only its keyed hash."""
    from service.auth.keyplace import peppers_of
    from service.auth.keys import NAME, entry_of, new_key
    from service.config.auth import Auth
    from service.errors import ConfigError

    if not NAME.fullmatch(name):
        fail(f"{name!r}: a name is up to 64 letters, digits, - and _")
    if pepper_file is not None:
        auth: Auth | None = Auth(keys_file=pepper_file, pepper_file=pepper_file)
    else:
        auth = loaded(config, keys=False).server.auth
    if auth is None or not auth.has_keys:
        fail("the configuration takes no API keys: below server, `auth: {keys_file: keys.yaml, pepper_file: pepper}`")
    try:
        pepper, *_ = peppers_of(auth)
    except ConfigError as error:
        fail_with(error)
    made, digest = new_key(name, pepper)
    ends = datetime.now(UTC) + timedelta(days=days) if days else None
    typer.echo("The key, shown once, for the producer:", err=True)
    typer.echo(made)
    typer.echo("\nFor the list of keys, under `keys:`", err=True)
    typer.echo(entry_of(name, digest, route, ends))
