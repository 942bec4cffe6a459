"""The service as one process: its two ports, until SIGTERM or SIGINT. A second signal ends it at once.

With `server.workers` above 1 it is `workers/` instead.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

from service import __version__, gateway
from service.admin import app as admin
from service.admin.status import configuration
from service.admin.subject import Process, Subject
from service.admin.topology import topology
from service.admin.watch import Watch
from service.auth.authenticator import Authenticator
from service.cloudwatch.publisher import publishing
from service.config import Config
from service.config.settings import LAST_ANSWERS_SECONDS, ServerConfig
from service.delivery.health import Health
from service.delivery.pipeline import Pipeline
from service.heap import return_large_blocks
from service.http.admission import Admission
from service.http.connections import Connections
from service.http.protocol import BoundedProtocol
from service.http.securing import secured
from service.http.source import Http
from service.ports import Server, listen
from service.signals import heard
from service.telemetry.meter import Meter
from service.units import is_loopback

log = logging.getLogger(__name__)

ADMIN_CONNECTIONS = 128
ADMIN_HEAD_BYTES = 2**20


async def serve(config: Config) -> bool:
    """Run until SIGTERM or SIGINT; see `run`."""
    return_large_blocks()
    stop, now = asyncio.Event(), asyncio.Event()
    with heard(stop.set, now.set):
        return await run(config, stop, now, lambda *_: gateway.freeze_later())


async def run(
    config: Config, stop: asyncio.Event, now: asyncio.Event, opened: Callable[[str, str], None] | None = None
) -> bool:
    """Run until `stop`, then drain; `now` ends the drain. Returns True if everything taken was settled.

    `opened` is called with the addresses of both ports (`http://127.0.0.1:8080`) once they are open. Raises
    ConfigError if a sink, the keys or a port cannot be used as configured.
    """
    return await gateway.run(config, _AdminPort(config, opened, now), stop, now)


class _AdminPort:
    """Shows the process at an admin port of its own."""

    def __init__(self, config: Config, opened: Callable[[str, str], None] | None, now: asyncio.Event) -> None:
        self._config = config
        self._now = now
        self._opened = opened
        self._address = ""

    async def watch(self, stack: AsyncExitStack, process: Process) -> Sequence[Server]:
        server, self._address = await open_admin(stack, self._config, process, process.meter)
        await stack.enter_async_context(publishing(self._config.cloudwatch, process.snapshot, process.meter, self._now))
        return [server]

    def serving(self, address: str) -> None:
        announce(self._config, address, self._address)
        if self._opened is not None:
            self._opened(address, self._address)


async def open_admin(stack: AsyncExitStack, config: Config, subject: Subject, meter: Meter) -> tuple[Server, str]:
    """The admin port, open until the stack unwinds, and its address. Raises ConfigError if it cannot be bound."""
    token = config.admin.token.get_secret_value() if config.admin.token else None
    connections = Connections("admin", ADMIN_CONNECTIONS, ADMIN_HEAD_BYTES, LAST_ANSWERS_SECONDS, meter, endless=True)
    watch = await stack.enter_async_context(Watch(subject, topology(config), config.routes, config.admin.show_details))
    opened = await listen(
        stack,
        admin.build(subject, config.routes, token, configuration(config.origin, config.tree), watch),
        "admin",
        config.admin.host,
        config.admin.port,
        await secured(stack, "admin", config.admin.tls, connections, partial(BoundedProtocol, connections), meter),
        secure=config.admin.tls is not None,
        last_answers=LAST_ANSWERS_SECONDS,
    )
    stack.callback(watch.end)  # before the port closes, which waits for answers to end
    return opened


def undriven() -> Http:
    """The HTTP source without routes or lanes: enough to describe itself, and what sources may add to it."""
    from service.sources.firehose.description import describe_any

    found = Http(Admission(Pipeline({}, {}), ServerConfig(), Authenticator(None, {}), Meter()), Health())
    describe_any(found.api)
    return found


def announce(config: Config, public: str, admin_address: str) -> None:
    """Say that the service serves, who may send, and what of its configuration is hardly meant."""
    for warning in config.warnings:
        log.warning("the configuration is hardly meant so", extra={"detail": warning})
    auth = config.server.auth
    if auth is None or auth.anonymous:
        reach = "this machine" if is_loopback(config.server.host) else "ANYBODY who reaches the port"
        log.info("no authentication", extra={"who_may_send": reach})
    else:
        log.info("authentication", extra={"kinds": sorted(auth.kinds)})
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
