"""`penstock top`: what `/status` says, live in a terminal, or once for a script.

Exit codes of `--once`: 0 it serves and nothing is wrong; 1 something is; 2 no answer, or wrong usage.
"""

from contextlib import suppress
from functools import partial
from typing import Annotated

import typer

from service.terminal import Ca, ClientCertificate, ClientKey, trust
from service.units import parse_duration


def top(
    url: Annotated[str, typer.Option(help="Address of the admin port.")] = "http://127.0.0.1:9464",
    token: Annotated[
        str | None, typer.Option(envvar="PENSTOCK_ADMIN_TOKEN", help="`admin.token`; better in PENSTOCK_ADMIN_TOKEN.")
    ] = None,
    ca: Ca = None,
    client_cert: ClientCertificate = None,
    client_key: ClientKey = None,
    interval: Annotated[str, typer.Option(help="Time between two looks.")] = "1s",
    once: Annotated[
        bool, typer.Option("--once", help="One plain table; exits with 0 healthy, 1 degraded, 2 no answer.")
    ] = False,
) -> None:
    """Show lanes, sources, the journal and what is wrong, live, until Ctrl-C. Changes nothing."""
    from rich.console import Console

    from service.top import live
    from service.top.asking import status

    try:
        seconds = parse_duration(interval)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--interval") from None
    if seconds < 0.1:
        raise typer.BadParameter("at least 100ms", param_hint="--interval")
    ask = partial(status, url, token, trust(ca, client_cert, client_key))
    if once:
        raise typer.Exit(live.once(ask, Console(color_system=None, soft_wrap=False)))
    with suppress(KeyboardInterrupt):
        live.live(ask, Console(), seconds)
