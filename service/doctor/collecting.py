"""Asks everything that is configured, at once, each with a time of its own: one that hangs holds up no other.

What there is to know of a destination or a source is known by its plugin (`finding.Examined`); here it is only asked.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

from msgspec import Struct

from service import plugins
from service.auth import examination as keys_examination
from service.auth.keyplace import acting
from service.aws import examination
from service.aws.session import region_of
from service.aws.settings import AwsConfig
from service.config import Config
from service.delivery.pipeline import Pipeline
from service.delivery.route import Route
from service.doctor import machine
from service.doctor.probing import Probed
from service.errors import ConfigError
from service.finding import Examined, Finding, note, ok, problem
from service.receiving.contract import SourceConfig
from service.receiving.handover import Handover
from service.sinks.contract import ProbeError, SinkConfig
from service.telemetry.meter import Meter

SECONDS = 30.0
"""How long each may take."""

Examination = Callable[[], AsyncIterator[Finding]]


class Report(Struct, frozen=True):
    """What was found about one thing that is configured."""

    of: str
    """`sink orders`, `source stream`, `machine`, ..."""
    findings: tuple[Finding, ...]


async def examine(config: Config, seconds: float = SECONDS) -> list[Report]:
    """Reports in the order of the configuration. Sends no data."""
    subjects = dict(_subjects(config))
    found = await asyncio.gather(*[_within(seconds, each) for each in subjects.values()])
    return [Report(of, tuple(findings)) for of, findings in zip(subjects, found, strict=True)]


def _subjects(config: Config) -> Iterator[tuple[str, Examination]]:
    """What is asked, by the name of it. What is configured beside sinks and sources has its line here."""
    yield "machine", partial(machine.examined, config)
    for of, (settings, region) in _callers(config).items():
        yield of, partial(examination.caller, settings, region)
    for name, sink in config.sinks.items():
        yield f"sink {name}", partial(_sink, name, sink)
    for name, source in config.sources.items():
        yield f"source {name}", partial(_source, name, source, config)
    if (auth := config.server.auth) is not None:
        if auth.keys_secret is not None:
            yield "API keys", partial(keys_examination.secret, auth, config.routes, config.aws)
        for issuer in auth.jwt:
            yield f"issuer {issuer.issuer}", partial(keys_examination.issuer, issuer)
    if config.cloudwatch.mode == "api":
        yield "cloudwatch", _cloudwatch


async def _within(seconds: float, examination: Examination) -> list[Finding]:
    """What is found in that time, and why no more is."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(seconds):
            async for finding in examination():
                found.append(finding)
    except (ProbeError, ConfigError) as error:
        found.append(problem("use", str(error)))
    except TimeoutError:
        found.append(problem("answer", f"none within {seconds:g} s", "check the network to it, and what is in between"))
    except Exception as error:  # noqa: BLE001 - somebody else's may raise anything; the others are examined too
        found.append(problem("start", f"it does not start: {type(error).__name__}: {error}"))
    return found


async def _sink(name: str, settings: SinkConfig) -> AsyncIterator[Finding]:
    async with plugins.load("sinks", settings.type)(name, settings) as sink:
        async for finding in _examined(sink):
            yield finding


async def _source(name: str, settings: SourceConfig, config: Config) -> AsyncIterator[Finding]:
    """It is not entered: it would receive. So its routes need no lanes, but a constructor may ask for them."""
    routes = {route: Route(route, legs=()) for route in config.routes}
    handover = Handover(name, Pipeline(routes, {}), config.codecs[name], Meter())
    async for finding in _examined(plugins.load("sources", settings.type)(name, settings, handover)):
        yield finding


async def _examined(plugin: Probed) -> AsyncIterator[Finding]:
    """What it says itself; of one that only has a probe, whether it can be used."""
    if isinstance(plugin, Examined):
        async for finding in plugin.examine():
            yield finding
        return
    await plugin.probe()
    yield ok("use", "as configured")


def _callers(config: Config) -> Mapping[str, tuple[AwsConfig, str]]:
    """Every identity that AWS is asked with, once, by `credentials` and its role."""
    found: dict[str, tuple[AwsConfig, str]] = {}
    for settings in _in_aws(config):
        try:
            region = region_of(settings)
        except ConfigError:
            continue  # whoever needs it says so
        of = f"credentials of {settings.role_arn}" if settings.role_arn else "credentials"
        found.setdefault(of, (settings, region))
    return found


def _in_aws(config: Config) -> Iterable[AwsConfig]:
    plugins_: Iterable[Any] = chain(config.sinks.values(), config.sources.values())
    used: list[AwsConfig] = [each for each in plugins_ if isinstance(each, AwsConfig)]
    if config.cloudwatch.mode == "api":
        used.append(config.cloudwatch)
    if (auth := config.server.auth) is not None and auth.keys_secret is not None:
        used.append(acting(config.aws, auth.keys_secret))
    return used


async def _cloudwatch() -> AsyncIterator[Finding]:
    yield note(
        "permission",
        "cloudwatch:PutMetricData is not tried: that would send data",
        "allow it for this role; failures show as penstock_cloudwatch_* in /metrics",
    )
