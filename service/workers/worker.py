"""A worker: a process of its own that runs the gateway and reports to its supervisor. `python -m` runs it.

When its supervisor is gone it drains and ends, as after a signal.
"""

import asyncio
import json
import logging
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final, assert_never

import uvloop

from service import gateway
from service.admin.subject import Process
from service.config import Config
from service.config.load import again
from service.config.share import share
from service.errors import ConfigError
from service.heap import return_large_blocks
from service.ports import Server
from service.signals import heard
from service.telemetry import logs
from service.workers.channel import ASSIGNMENTS, COMMANDS, Assignment, Channel, Command, Ended, Misconfigured, Report

log = logging.getLogger(__name__)

REPORT_EVERY_SECONDS: Final = 1.0
"""What a worker counted after its last report is lost when it is killed."""


def main() -> None:
    """Entry point: the one argument is the descriptor of the channel."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(socket.socket(fileno=int(sys.argv[1]))))


async def _work(end: socket.socket) -> None:
    channel = await Channel.over(end)
    assignment = await channel.receive(ASSIGNMENTS)
    return_large_blocks()
    stop, now = asyncio.Event(), asyncio.Event()
    reports = Reports(channel)
    # a supervisor hears signals for all; one that reaches this process alone, or both, ends it once
    with heard(stop.set, stop.set):
        obeying = asyncio.create_task(_obey(channel, reports, stop, now), name="supervisor")
        try:
            config = _config(assignment)
            told = config.logs
            logs.setup(told.level, told.form, worker=assignment.worker, values=told.values)
            reports.end(await gateway.run(config, reports, stop, now, shared_port=True))
        except ConfigError as error:
            channel.send(Misconfigured(error.mistakes))
        obeying.cancel()
        await channel.close()


def _config(assignment: Assignment) -> Config:
    """This worker's part of the service. Raises ConfigError."""
    whole = again(json.loads(assignment.tree), Path(assignment.origin) if assignment.origin else None)
    part = share(whole, assignment.workers, assignment.worker)
    return replace(part, server=part.server.model_copy(update={"port": assignment.port}))


async def _obey(channel: Channel, reports: "Reports", stop: asyncio.Event, now: asyncio.Event) -> None:
    try:
        while True:
            match command := await channel.receive(COMMANDS):
                case Command.REPORT:
                    reports.send(asked=True)
                case Command.STOP:
                    stop.set()
                case Command.NOW:
                    stop.set()
                    now.set()
                case _:
                    assert_never(command)
    except EOFError:
        log.warning("the supervisor is gone: this worker ends too")
        stop.set()


class Reports:
    """Tells the supervisor what this process is like: once it serves, every second, and when asked."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._process: Process | None = None

    async def watch(self, stack: AsyncExitStack, process: Process) -> Sequence[Server]:
        """See `Watcher`."""
        del stack
        self._process = process
        return ()

    def serving(self, address: str) -> None:
        """See `Watcher`."""
        del address
        gateway.freeze_later()
        self._tick()

    def _tick(self) -> None:
        asyncio.get_running_loop().call_later(REPORT_EVERY_SECONDS, self._tick)
        if not self._channel.backlogged:  # a supervisor that is stopped must not fill our memory
            self.send()

    def send(self, asked: bool = False) -> None:
        """Report now. Never raises: a supervisor's commands must be heard in any case."""
        try:
            if self._process is not None:
                self._channel.send(Report(self._process.taken(), asked))
        except Exception:
            log.exception("no report can be made")

    def end(self, clean: bool) -> None:
        """Report for the last time."""
        assert self._process is not None
        self._channel.send(Ended(self._process.taken(), clean))


if __name__ == "__main__":
    main()
