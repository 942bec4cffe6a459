"""Whether one destination or source can be used: what the service asks at its start."""

import asyncio
from typing import Protocol

from service.errors import ConfigError
from service.sinks.contract import ProbeError

PROBE_SECONDS = 30.0


class Probed(Protocol):
    """A sink, or a source."""

    async def probe(self) -> None:
        """Raise ProbeError if it cannot be used."""


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
