"""The supervisor of `server.workers` processes: it holds the public port's address, starts the workers, shows them as
one at the admin port, replaces those that end, and passes signals on. It takes no events itself.
"""

import asyncio
import json
import logging
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from service import gateway
from service.app import announce, open_admin
from service.cloudwatch.publisher import publishing
from service.config import Config
from service.config.settings import LAST_ANSWERS_SECONDS
from service.delivery.health import Phase
from service.ports import address, bound, let_others_bind
from service.signals import heard
from service.watchdog import Watchdog
from service.workers.channel import Assignment, Command
from service.workers.crew import Crew, loss
from service.workers.seat import Seat

log = logging.getLogger(__name__)

SLACK_SECONDS: Final = 1.0
"""What a worker may take to end beyond the time that its drain has."""
HURRIED_SECONDS: Final = 2.0
"""How long workers get after a second signal; then they are killed."""


async def serve(config: Config) -> bool:
    """Run until SIGTERM or SIGINT, then drain; a second signal ends it at once.

    Returns True if everything taken was settled. Raises ConfigError or StartError if the workers cannot start.
    """
    stop, now = asyncio.Event(), asyncio.Event()
    server = config.server
    with heard(stop.set, now.set), bound("server", server.host, server.port) as listener:
        let_others_bind(listener)
        seats = [Seat(each, partial(loss, config)) for each in _assignments(config, listener.getsockname()[1])]
        crew = Crew(config, seats)
        async with AsyncExitStack() as stack:
            stack.enter_context(Watchdog(crew.lag))
            _, admin_address = await open_admin(stack, config, crew, crew.meter)
            await stack.enter_async_context(publishing(config.cloudwatch, crew.snapshot, crew.meter, now))
            gateway.freeze_later()
            keeping = {asyncio.create_task(seat.keep(), name=f"worker {seat.number}") for seat in seats}
            try:
                if await _all_serve(seats, keeping, stop):
                    crew.phase = Phase.SERVING
                    announce(config, address(server.host, listener, server.tls is not None), admin_address)
                    await _until(stop, keeping)
                await _drain(config, crew, seats, keeping, now)
            finally:
                await _end(seats, keeping)
        for kept in keeping:
            await kept
    clean = all(seat.clean for seat in seats)
    log.info("drained", extra={"everything_settled": clean})
    return clean


def _assignments(config: Config, port: int) -> list[Assignment]:
    # what YAML knows and JSON does not (dates) no setting takes
    tree = json.dumps(config.tree, default=str)
    origin = str(config.origin) if config.origin else None
    workers = config.server.workers
    return [Assignment(number, workers, port, tree, origin) for number in range(workers)]


async def _all_serve(seats: Sequence[Seat], keeping: Collection["asyncio.Task[None]"], stop: asyncio.Event) -> bool:
    """True once every worker serves, False if told to stop before. Raises what kept one from it."""
    served = asyncio.create_task(_served(seats))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([served, stopped, *keeping], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if served.done():
        return True
    served.cancel()
    for kept in keeping:
        if kept.done():
            await kept
    return False


async def _served(seats: Sequence[Seat]) -> None:
    for seat in seats:
        await seat.served.wait()


async def _until(stop: asyncio.Event, keeping: Collection["asyncio.Task[None]"]) -> None:
    """Return once told to stop; or when a seat is given up, which is a defect, and raised after the drain."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([stopped, *keeping], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()


async def _drain(
    config: Config, crew: Crew, seats: Sequence[Seat], keeping: Collection["asyncio.Task[None]"], now: asyncio.Event
) -> None:
    """Have all workers drain side by side, within the time that one of them has."""
    crew.phase = Phase.DRAINING
    log.info("draining", extra={"held_events": sum(crew.known().meter.lane_held.values())})
    server = config.server
    most = server.deregister_delay + server.drain_timeout + LAST_ANSWERS_SECONDS + SLACK_SECONDS
    for seat in seats:
        seat.tell(Command.STOP)
    ended = asyncio.create_task(asyncio.wait(keeping))
    hurried = asyncio.create_task(now.wait())
    await asyncio.wait([ended, hurried], timeout=most, return_when=asyncio.FIRST_COMPLETED)
    if not ended.done() and now.is_set():
        log.warning("a second signal: giving up what is left at once")
        for seat in seats:
            seat.tell(Command.NOW)
        await asyncio.wait([ended], timeout=HURRIED_SECONDS)
    for waiting in (ended, hurried):
        waiting.cancel()


async def _end(seats: Sequence[Seat], keeping: Collection["asyncio.Task[None]"]) -> None:
    """Leave no worker behind: those that are still there hang, or the start has failed."""
    for seat in seats:
        seat.tell(Command.NOW)
    for seat in seats:
        seat.kill()
    await asyncio.gather(*keeping, return_exceptions=True)
