"""What all commands have in common: where the configuration is, and how a failure is told."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from service.errors import ConfigError
from service.units import counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ssl import SSLContext

    from service.config import Config
    from service.config.tls import TlsConfig

FAILED = 1
File = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Configuration file; else PENSTOCK_CONFIG_YAML (its text), PENSTOCK_CONFIG, ./penstock.yaml.",
    ),
]
Ca = Annotated[
    Path | None,
    typer.Option("--ca", envvar="PENSTOCK_CA", help="PEM file of whom to trust for https://, else the system's."),
]
ClientCertificate = Annotated[
    Path | None, typer.Option("--client-cert", help="PEM file of the certificate to show, where one is asked for.")
]
ClientKey = Annotated[Path | None, typer.Option("--client-key", help="PEM file of its key, if it has one of its own.")]


def trust(ca: Path | None, certificate: Path | None, key: Path | None) -> "SSLContext | None":
    """What these options ask for; None for what is usual. Ends the command if the files cannot be used."""
    if ca is certificate is key is None:
        return None
    from service.tls.trust import trusting

    try:
        return trusting(ca, certificate, key)
    except ValueError as error:
        fail(str(error))


def loaded(file: Path | None, printing: bool = False, keys: bool = True) -> "Config":
    """The checked configuration; ends the command if there are mistakes. `keys`: whether the API keys, and those of
    TLS, must be sound."""
    from service.auth.authenticator import inspect
    from service.config import find, load

    def examine(tls: "TlsConfig") -> "Mapping[str, str]":
        from service.tls import certificate  # a library that a configuration without TLS need not load

        return certificate.examine(tls)

    opened = (inspect, examine) if keys else (None, None)
    try:
        return load(find(file, os.environ), os.environ, printing=printing, inspect=opened[0], examine=opened[1])
    except ConfigError as error:
        fail_with(error)


def fail_with(error: ConfigError) -> NoReturn:
    """Tell every mistake, and end."""
    for mistake in error.mistakes:
        typer.echo(mistake, err=True)
    fail(f"{counted(len(error.mistakes), 'mistake')} in the configuration; nothing was started")


def fail(message: str) -> NoReturn:
    """Tell what is wrong, and end."""
    typer.echo(message, err=True)
    raise typer.Exit(FAILED)
