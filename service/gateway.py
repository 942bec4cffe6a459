"""The life of one process that takes events, from a Config to its end. Here everything meets.

Its order: sinks are entered, the public port opened, readiness on; told to stop: readiness off, serve on for
`deregister_delay`, stop listening, drain the lanes, leave the sinks. Told that it must end now, it does.
"""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Protocol

from service.admin.subject import Process
from service.auth.authenticator import Authenticator
from service.building import build, placed, sources, tracing
from service.config import Config
from service.config.quotas import QuotasConfig
from service.config.settings import LAST_ANSWERS_SECONDS, ServerConfig
from service.delivery.health import Health, Phase
from service.delivery.pipeline import Pipeline
from service.doctor.probing import probe
from service.http.admission import Admission
from service.http.connections import Connections
from service.http.direct import DirectProtocol
from service.http.exchanges import Exchanges
from service.http.protocol import BoundedProtocol
from service.http.securing import secured
from service.http.source import Http
from service.http.traced import TracedProtocol
from service.ports import Server, listen, raise_descriptors
from service.quotas.quotas import Quotas
from service.receiving.contract import Mounted, Source
from service.receiving.sampling import sampling
from service.sinks.contract import Sink
from service.telemetry.meter import Meter
from service.watchdog import Watchdog

log = logging.getLogger(__name__)

FREEZE_AFTER_SECONDS = 2.0
"""By then modules are loaded and clients made."""

FULL_COLLECTION_AFTER = 50
"""Collections of the middle generation before a full one, instead of ten. What lives long here (events that wait,
and what became of them) is in no cycle: full collections found nothing, and took 10 to 50 ms each while thousands of
events were answered (`python -m bench.rude --only unread`)."""

HURRIED_ANSWERS_SECONDS = 0.5
"""How long connections get after a second signal to send their answers, in slices: a process that stands still for
as long in between, as on a busy machine, has answered nobody."""
_HURRIED_SLICES = 10


class Watcher(Protocol):
    """Who sees what the process is like: an admin port of its own, or its supervisor."""

    async def watch(self, stack: AsyncExitStack, process: Process) -> Sequence[Server]:
        """Begin, until the stack unwinds. Returns the servers that this takes. Raises ConfigError."""

    def serving(self, address: str) -> None:
        """The public port is open at this address, such as `http://127.0.0.1:8080`."""


async def run(
    config: Config, watcher: Watcher, stop: asyncio.Event, now: asyncio.Event, *, shared_port: bool = False
) -> bool:
    """Run until `stop`, then drain; `now` ends the drain. Returns True if everything taken was settled.

    `shared_port`: other processes listen at the same address. Raises ConfigError if a sink, the keys or a port cannot
    be used as configured.
    """
    async with AsyncExitStack() as stack:
        servers: list[Server] = []
        given_back = asyncio.Event()
        hurry = asyncio.create_task(_hurry(now, given_back, servers), name="second signal")
        stack.callback(hurry.cancel)  # first in, last out: it is heard until the ports are closed and the sinks left
        meter = Meter()
        opened = Authenticator(config.server.auth, config.routes, config.aws, meter)
        authenticator = await stack.enter_async_context(opened)
        health = Health(strict=config.server.readiness == "strict", meter=meter)
        spans = tracing(config, meter, stack)
        pipeline = await build(config, meter, stack, spans=spans)
        health.lanes, health.stored = pipeline.lanes, pipeline.stored
        sample = sampling(config.logs.sample_rejected, config.logs.values)
        quotas = Quotas(config.quotas, meter) if config.quotas != QuotasConfig() else None
        admission = Admission(pipeline, config.server, authenticator, meter, spans, sample, quotas)
        http = Http(admission, health)
        health.sources = receiving = sources(config, pipeline, meter, spans)
        for name, source in receiving.items():
            if isinstance(source, Mounted):
                with placed(f"sources.{name}"):
                    source.mount(http.api)
        connections = _connections(config.server, meter)
        protocol = _protocol(config.server, admission, connections)
        public, address = await listen(
            stack,
            http.app,
            "server",
            config.server.host,
            config.server.port,
            await secured(stack, "server", config.server.tls, connections, protocol, meter),
            secure=config.server.tls is not None,
            keep_alive=config.server.keep_alive,
            trusted=config.server.trusted_proxies,
            last_answers=config.server.drain_timeout + LAST_ANSWERS_SECONDS,
            shared=shared_port,
        )
        servers += [public, *await watcher.watch(stack, Process(pipeline, meter, health))]
        for name, source in receiving.items():
            with placed(f"sources.{name}"):
                await stack.enter_async_context(source)
        stack.enter_context(Watchdog(health.beat))
        health.phase = Phase.SERVING
        watcher.serving(address)
        async with asyncio.TaskGroup() as probes:
            probing = [probes.create_task(_probe(lane.sink, lane.name)) for lane in pipeline.lanes.values()]
            await stop.wait()
            for probe in probing:
                probe.cancel()
        for source in receiving.values():
            if not isinstance(source, Mounted):
                source.stop()
        connections.leaving = True
        called = [source for source in receiving.values() if isinstance(source, Mounted)]
        return await _shut_down(config, pipeline, health, public, called, now, given_back)


def freeze_later() -> None:
    """Collect garbage from now on, but not what start-up made, nor what clients make as they connect.

    The command has paused the collector: nearly all that imports make stays. To look through it again and again, and as
    a whole at the end, took a fifth of the CPU until the service was ready (`python -m bench.start`, before and after),
    for 2,000 of 200,000 objects. The collection two seconds later, in the midst of traffic, takes 1 to 5 ms
    (`python -m bench.scenarios hot_key`, twelve services before, three after).
    """
    gc.freeze()
    gc.enable()
    asyncio.get_running_loop().call_later(FREEZE_AFTER_SECONDS, freeze)


def freeze() -> None:
    """Keep what there is now out of later garbage collections, and make full ones of the rest rare."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], FULL_COLLECTION_AFTER)


async def _shut_down(
    config: Config,
    pipeline: Pipeline,
    health: Health,
    public: Server,
    called: Iterable[Source],
    now: asyncio.Event,
    given_back: asyncio.Event,
) -> bool:
    """Drain (design section 5). True if nothing had to be given back."""
    health.phase = Phase.DRAINING
    log.info("draining", extra={"held_events": sum(lane.held_events for lane in pipeline.lanes.values())})
    with contextlib.suppress(TimeoutError):  # the delay is over, as it should be
        async with asyncio.timeout(config.server.deregister_delay):
            await now.wait()
    public.should_exit = True
    for source in called:
        source.stop()
    hurry = asyncio.create_task(now.wait())
    drain = asyncio.create_task(pipeline.drain(config.server.drain_timeout))
    await asyncio.wait({hurry, drain}, return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if drain.done():
        clean = drain.result()
    else:
        drain.cancel()
        await asyncio.gather(drain, return_exceptions=True)
        clean = await pipeline.drain(0)
    given_back.set()
    log.info("drained", extra={"everything_settled": clean})
    return clean


async def _hurry(now: asyncio.Event, given_back: asyncio.Event, servers: Sequence[Server]) -> None:
    """After a second signal, whenever it comes: an end to whatever the ports still wait for."""
    await now.wait()
    log.warning("a second signal: giving up what is left at once")
    await given_back.wait()
    for _ in range(_HURRIED_SLICES):
        await asyncio.sleep(HURRIED_ANSWERS_SECONDS / _HURRIED_SLICES)
    for server in servers:
        server.force_exit = True
        for task in tuple(server.server_state.tasks):
            task.cancel()  # it answers 503; an answer that is being written is cut


def _protocol(server: ServerConfig, admission: Admission, connections: Connections) -> Callable[..., BoundedProtocol]:
    """What makes the protocol of a connection to the public port."""
    if server.short_way:
        direct = DirectProtocol if admission.spans is None else TracedProtocol
        return partial(direct, Exchanges(admission), connections)
    return partial(BoundedProtocol, connections)


def _connections(server: ServerConfig, meter: Meter) -> Connections:
    """The bounds of the public port: as configured, or as many as there are descriptors for."""
    most = min(server.max_connections, raise_descriptors())
    if most < server.max_connections:
        log.warning(
            "the limit of open files allows fewer connections than server.max_connections", extra={"connections": most}
        )
    return Connections("server", most, server.head_memory, server.body_timeout, meter)


async def _probe(sink: Sink, name: str) -> None:
    """Say at start what a first event would find out. Never fatal: the destination may come later."""
    if trouble := await probe(sink):
        log.warning("a destination cannot be used now", extra={"sink": name, "detail": trouble})
