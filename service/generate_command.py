"""`penstock generate cloudwatch | iam-policy | trust-policy`: what other systems need to know of a service, made
from its configuration.

Exit codes: 0 made; 1 it cannot be, and it was said why; 2 wrong usage.
"""

from collections.abc import Iterable
from typing import Annotated

import typer

from service import iam_command
from service.terminal import File, fail, loaded
from service.units import counted

app = typer.Typer(no_args_is_help=True, help="Alarms, dashboards and IAM policies, from the configuration.")
app.command("iam-policy")(iam_command.iam_policy)
app.command("trust-policy")(iam_command.trust_policy)


@app.command()
def cloudwatch(
    config: File = None,
    without: Annotated[list[str] | None, typer.Option(help="A kind of alarm that is not wanted; repeat.")] = None,
    expect: Annotated[
        list[str] | None, typer.Option(help="A route that is never silent for long: alarm if it is; repeat.")
    ] = None,
) -> None:
    """Print a CloudFormation template: alarms for every sink, route and source, an SNS topic, and a dashboard."""
    from service.cloudwatch.template import MOST_BYTES_SENT, template
    from service.cloudwatch.watched import watched
    from service.cloudwatch.watches import WATCHES

    found = loaded(config, keys=False)
    _known(without, [watch.name for watch in WATCHES], "--without")
    _known(expect, found.routes, "--expect")
    made = template(watched(found), without or (), expect or ())
    if made.excess is not None:
        fail(f"the template would have {made.excess}: leave out a kind of alarm with --without, such as `refused`")
    typer.echo(made.text, nl=False)
    if found.cloudwatch.mode == "off":
        typer.echo("`cloudwatch.mode` is off: until it is `api` or `emf` the alarms hear nothing", err=True)
    where = "give it by S3 (`aws cloudformation deploy --s3-bucket`)" if made.size > MOST_BYTES_SENT else "as it is"
    typer.echo(f"{counted(made.alarms, 'alarm')}, {made.size} bytes: {where}", err=True)


def _known(given: list[str] | None, allowed: Iterable[str], option: str) -> None:
    names = list(allowed)
    for name in given or ():
        if name not in names:
            raise typer.BadParameter(f"there is no {name!r}; one of {', '.join(names)}", param_hint=option)
