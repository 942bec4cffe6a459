"""Emptying journals without the service: the pipeline of a configuration without HTTP, folder by folder.

Only what is settled goes. Nothing is stored.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from time import monotonic
from typing import Final

from service.building import build
from service.config import Config
from service.config.settings import RouteConfig
from service.config.ways import started
from service.errors import ConfigError
from service.journal.inspection import Survey, is_orphan, surveys, ways
from service.journal.opening import homeless
from service.telemetry.meter import Meter
from service.units import counted

_LOOK_SECONDS: Final = 0.1
_WORKERS: Final = 1000
TELL_SECONDS: Final = 2.0

Told = Callable[[str, int, int], object]
"""Hears, now and then, of a folder: its name, events left (one counts for each sink), those that cannot be read."""


async def drain(config: Config, heir: str | None, seconds: float | None, stop: asyncio.Event, told: Told) -> None:
    """Deliver what the journals below `journal.path` hold, until they are empty, `stop`, or `seconds` are over.

    What the configuration has no way for goes to the sink `heir`, as dead letters; without one that is a mistake, and
    nothing is delivered. Raises ConfigError with that, if a journal is used by a process, or if a sink cannot be used.
    """
    found = surveys(config)
    ends = monotonic() + seconds if seconds is not None else None
    _demand_free(found)
    stored = [each for each in found if each.events]
    if heir is None:
        _demand_ways(config, stored)
    for each in stored:
        if not stop.is_set() and (ends is None or monotonic() < ends):
            await _drain_one(_narrowed(config, each), heir, each.folder.name, ends, stop, told)


def _demand_free(found: Sequence[Survey]) -> None:
    used = [
        f"journal.path: {each.folder} is used by process {each.holder}: stop the service first"
        for each in found
        if each.holder is not None
    ]
    flawed = [f"journal.path: {each.folder} cannot be read: {each.flaw}" for each in found if each.flaw is not None]
    if used or flawed:
        raise ConfigError(used + flawed)


def _demand_ways(config: Config, found: Sequence[Survey]) -> None:
    known = ways(config)
    lost = [
        homeless(each.folder, waiting.route, waiting.sink, waiting.events)
        for each in found
        for waiting in each.waiting
        if is_orphan(waiting, known)
    ]
    if lost:
        raise ConfigError(lost)


def _storing(config: Config) -> dict[str, RouteConfig]:
    return {name: route.model_copy(update={"ack": "stored"}) for name, route in config.routes.items()}


def _narrowed(config: Config, found: Survey) -> Config:
    """What of the configuration is needed for one folder. It may lie anywhere: nothing new is stored there."""
    present = {waiting.route for waiting in found.waiting}
    routes = {name: route for name, route in _storing(config).items() if name in present}
    return replace(
        config,
        routes=routes,
        journal=config.journal.model_copy(update={"volume": "ephemeral"}),
        worker=found.worker,
        # as many as there may ever be: the others' folders are not adopted here
        server=config.server.model_copy(update={"workers": _WORKERS}),
        sources={},
        started=started(routes, config.sinks, {}),
    )


async def _drain_one(
    config: Config, heir: str | None, name: str, ends: float | None, stop: asyncio.Event, told: Told
) -> None:
    if heir is not None:
        config = replace(config, started=config.started | {heir})
    async with AsyncExitStack() as stack:
        pipeline = await build(config, Meter(), stack, heir)
        assert pipeline.stored is not None
        tell_at = monotonic()
        while True:
            state = pipeline.stored.state
            left, unreadable = sum(state.waiting.values()) if state else 0, pipeline.stored.unreadable
            over = left <= unreadable or stop.is_set() or (ends is not None and monotonic() >= ends)
            if over or monotonic() >= tell_at:
                told(name, left, unreadable)
                tell_at = monotonic() + TELL_SECONDS
            if over:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        await pipeline.drain(config.server.drain_timeout)


def remaining(found: Sequence[Survey]) -> list[str]:
    """What is left, in sentences, by folder, route and sink."""
    return [
        f"{each.folder}: {counted(waiting.events, 'event')} of route {waiting.route!r} for sink {waiting.sink!r} left"
        for each in found
        for waiting in each.waiting
    ]
