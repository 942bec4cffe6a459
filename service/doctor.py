"""Whether every destination can be used as configured: what `penstock doctor` asks over the network."""

import asyncio

from service import plugins
from service.config import Config
from service.errors import ConfigError
from service.sinks.contract import ProbeError, Sink, SinkConfig

PROBE_SECONDS = 30.0


async def examine(config: Config) -> dict[str, str]:
    """By sink: a sentence that says what is wrong and what to do; empty if nothing is."""
    found = await asyncio.gather(*(_examine(name, settings) for name, settings in config.sinks.items()))
    return dict(zip(config.sinks, found, strict=True))


async def _examine(name: str, settings: SinkConfig) -> str:
    try:
        async with plugins.load("sinks", settings.type)(name, settings) as sink:
            return await probe(sink)
    except (ProbeError, ConfigError) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a sink of somebody else's may raise anything; the others are examined too
        return f"it does not start: {type(error).__name__}: {error}"


async def probe(sink: Sink) -> str:
    """What is wrong with one destination whose sink is entered; empty if nothing is."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await sink.probe()
    except ProbeError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - a sink of somebody else's may raise anything; that must not end the service
        return f"its probe failed: {type(error).__name__}: {error}"
    return ""
