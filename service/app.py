"""The life of the running service, from a Config to its end. Here everything meets.

Its order: sinks are entered, both ports opened, readiness on; SIGTERM or SIGINT: readiness off, serve on
for `deregister_delay`, stop listening, drain the lanes, leave the sinks. A second signal ends it at once.
"""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial

from service import __version__
from service.admin import app as admin
from service.building import build
from service.config import Config
from service.config.settings import LAST_ANSWERS_SECONDS, ServerConfig, is_loopback
from service.delivery.health import Health, Phase
from service.delivery.pipeline import Pipeline
from service.doctor import probe
from service.heap import return_large_blocks
from service.ports import Server, listen, raise_descriptors
from service.sinks.contract import Sink
from service.sources.admission import Admission
from service.sources.connections import Connections
from service.sources.direct import DirectProtocol
from service.sources.exchange import Exchanges
from service.sources.http import Http
from service.sources.keys import Keys, open_keys
from service.sources.protocol import BoundedProtocol
from service.telemetry.meter import Meter

log = logging.getLogger(__name__)

FREEZE_AFTER_SECONDS = 2.0
"""By then modules are loaded and clients made."""

ADMIN_CONNECTIONS = 128
ADMIN_HEAD_BYTES = 2**20

HURRIED_ANSWERS_SECONDS = 0.5
"""How long connections get after a second signal to send their answers."""


async def serve(config: Config) -> bool:
    """Run until SIGTERM or SIGINT; see `run`."""
    return_large_blocks()
    stop, now = asyncio.Event(), asyncio.Event()
    with _signals(stop, now):
        return await run(config, stop, now, lambda *_: _freeze_later())


async def run(
    config: Config, stop: asyncio.Event, now: asyncio.Event, opened: Callable[[str, str], None] | None = None
) -> bool:
    """Run until `stop`, then drain; `now` ends the drain. Returns True if everything taken was settled.

    `opened` is called with the addresses of both ports (`http://127.0.0.1:8080`) once they are open. Raises
    ConfigError if a sink, the keys or a port cannot be used as configured.
    """
    keys = open_keys(config.server.auth, config.routes)
    async with AsyncExitStack() as stack:
        servers: list[Server] = []
        given_back = asyncio.Event()
        hurry = asyncio.create_task(_hurry(now, given_back, servers), name="second signal")
        stack.callback(hurry.cancel)  # first in, last out: it is heard until the ports are closed and the sinks left
        meter = Meter()
        health = Health(strict=config.server.readiness == "strict")
        pipeline = await build(config, meter, stack)
        health.lanes = pipeline.lanes
        admission = Admission(pipeline, config.server, keys, meter)
        http = Http(admission, health)
        token = config.admin.token.get_secret_value() if config.admin.token else None
        control = admin.build(pipeline, meter, health, token)
        public, address = await listen(
            stack,
            http.app,
            "server",
            config.server.host,
            config.server.port,
            _protocol(config.server, admission, _connections(config.server, meter)),
            keep_alive=config.server.keep_alive,
            trusted=config.server.trusted_proxies,
            last_answers=config.server.drain_timeout + LAST_ANSWERS_SECONDS,
        )
        private, admin_address = await listen(
            stack,
            control,
            "admin",
            config.admin.host,
            config.admin.port,
            partial(
                BoundedProtocol, Connections("admin", ADMIN_CONNECTIONS, ADMIN_HEAD_BYTES, LAST_ANSWERS_SECONDS, meter)
            ),
            last_answers=LAST_ANSWERS_SECONDS,
        )
        servers += [public, private]
        health.phase = Phase.SERVING
        _announce(config, address, admin_address)
        if opened is not None:
            opened(address, admin_address)
        async with asyncio.TaskGroup() as probes:
            probing = [probes.create_task(_probe(lane.sink, lane.name)) for lane in pipeline.lanes.values()]
            await stop.wait()
            for probe in probing:
                probe.cancel()
        return await _shut_down(config, pipeline, health, public, now, given_back)


def _freeze_later() -> None:
    """Collect garbage from now on, but not what start-up made, nor what clients make as they connect.

    The command line has paused the collector: nearly all that imports make stays. To look through it again and again,
    and as a whole at the end, took a fifth of the CPU until the service was ready (`python -m bench.start`, before and
    after), for 2,000 of 200,000 objects. The collection two seconds later, in the midst of traffic, takes 1 to 5 ms
    (`python -m bench.scenarios hot_key`, twelve services before, three after).
    """
    gc.freeze()
    gc.enable()
    asyncio.get_running_loop().call_later(FREEZE_AFTER_SECONDS, _freeze)


def _freeze() -> None:
    gc.collect()
    gc.freeze()


def undriven() -> Http:
    """The HTTP source without routes or lanes: enough to describe itself."""
    return Http(Admission(Pipeline({}, {}), ServerConfig(), Keys(None), Meter()), Health())


async def _shut_down(
    config: Config, pipeline: Pipeline, health: Health, public: Server, now: asyncio.Event, given_back: asyncio.Event
) -> bool:
    """Drain (design section 5). True if nothing had to be given back."""
    health.phase = Phase.DRAINING
    log.info("draining", extra={"held_events": sum(lane.held_events for lane in pipeline.lanes.values())})
    with contextlib.suppress(TimeoutError):  # the delay is over, as it should be
        async with asyncio.timeout(config.server.deregister_delay):
            await now.wait()
    public.should_exit = True
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
    await asyncio.sleep(HURRIED_ANSWERS_SECONDS)
    for server in servers:
        server.force_exit = True
        for task in tuple(server.server_state.tasks):
            task.cancel()  # it answers 503; an answer that is being written is cut


def _protocol(server: ServerConfig, admission: Admission, connections: Connections) -> Callable[..., BoundedProtocol]:
    """What makes the protocol of a connection to the public port."""
    if server.short_way:
        return partial(DirectProtocol, Exchanges(admission), connections)
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


@contextlib.contextmanager
def _signals(stop: asyncio.Event, now: asyncio.Event) -> Iterator[None]:
    """The first SIGTERM or SIGINT sets `stop`, the second `now`."""
    loop = asyncio.get_running_loop()

    def caught() -> None:
        (now if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, caught)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _announce(config: Config, public: str, admin_address: str) -> None:
    for warning in config.warnings:
        log.warning("the configuration is hardly meant so", extra={"detail": warning})
    auth = config.server.auth
    if auth is None or auth.anonymous:
        reach = "this machine" if is_loopback(config.server.host) else "ANYBODY who reaches the port"
        log.info("no authentication", extra={"who_may_send": reach})
    log.info(
        "serving",
        extra={
            "version": __version__,
            "address": public,
            "admin": admin_address,
            "configuration": str(config.origin) if config.origin else "built-in: a file sink, no file given",
            "routes": sorted(config.routes),
        },
    )
