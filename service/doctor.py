"""Whether every destination and source can be used as configured: what `penstock doctor` asks over the network."""

import asyncio
from typing import Protocol

from service import plugins
from service.config import Config
from service.delivery.pipeline import Pipeline
from service.delivery.route import Route
from service.errors import ConfigError
from service.receiving.contract import SourceConfig
from service.receiving.handover import Handover
from service.sinks.contract import ProbeError, SinkConfig
from service.telemetry.meter import Meter

PROBE_SECONDS = 30.0


class Probed(Protocol):
    """A sink, or a source."""

    async def probe(self) -> None:
        """Raise ProbeError if it cannot be used."""


async def examine(config: Config) -> dict[str, str]:
    """By sink, and by `source NAME`: a sentence that says what is wrong and what to do; empty if nothing is."""
    asked = {name: _examine(name, settings) for name, settings in config.sinks.items()}
    asked |= {f"source {name}": _examine_source(name, each, config) for name, each in config.sources.items()}
    return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))


async def _examine_source(name: str, settings: SourceConfig, config: Config) -> str:
    """It is not entered: it would receive. So its routes need no lanes, but a constructor may ask for them."""
    try:
        routes = {route: Route(route, legs=()) for route in config.routes}
        handover = Handover(name, Pipeline(routes, {}), config.codecs[name], Meter())
        source = plugins.load("sources", settings.type)(name, settings, handover)
    except Exception as error:  # noqa: BLE001 - somebody else's may raise anything; the others are examined too
        return f"it does not start: {type(error).__name__}: {error}"
    return await probe(source)


async def _examine(name: str, settings: SinkConfig) -> str:
    try:
        async with plugins.load("sinks", settings.type)(name, settings) as sink:
            return await probe(sink)
    except (ProbeError, ConfigError) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a sink of somebody else's may raise anything; the others are examined too
        return f"it does not start: {type(error).__name__}: {error}"


async def probe(probed: Probed) -> str:
    """What is wrong with a sink that is entered, or with a source; empty if nothing is."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probed.probe()
    except (ProbeError, ConfigError) as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - a sink of somebody else's may raise anything; that must not end the service
        return f"its probe failed: {type(error).__name__}: {error}"
    return ""
