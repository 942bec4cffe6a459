"""The place of one worker: the process in it, what it reports, and the next one when it has ended."""

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
import time
from typing import Any, Final, assert_never

from service.delivery.health import Phase
from service.errors import ConfigError, StartError
from service.telemetry.meter import Loss
from service.telemetry.snapshot import Snapshot, summed
from service.threads import off_loop
from service.workers.channel import MESSAGES, Assignment, Channel, Command, Ended, Message, Misconfigured, Report

log = logging.getLogger(__name__)

SILENT_SECONDS: Final = 10.0
"""A worker that has not reported for so long is stuck: ten reports are missing."""
STEADY_SECONDS: Final = 30.0
"""A worker that served so long was sound: the next one is not waited for as after a row of failures."""
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
NOT_STARTED: Final = 1
LEAVING_SECONDS: Final = 10.0
"""How long a worker that has said its last word may take to end."""


class Seat:
    """One of the service's workers, whichever process that is at the time."""

    def __init__(self, assignment: Assignment, loss: Loss) -> None:
        self.number = assignment.worker
        self.served = asyncio.Event()
        """Set once a worker has served here."""
        self.clean = False
        """Whether the worker that was here at the end, if one was, settled everything."""
        self.snapshot: Snapshot | None = None
        """The last report of the worker that is here; None while there is none, or it starts."""
        self.ended = summed("", ())
        """What those that are gone have counted."""
        self._assignment = assignment
        self._loss = loss
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._heard_at = 0.0
        self._serving_since = 0.0
        self._turned_at = time.time()
        """When its worker was started, or ended."""
        self._asked: asyncio.Future[None] | None = None
        self._mistakes: list[str] = []
        self._stopping = asyncio.Event()
        self._replaced = 0

    async def keep(self) -> None:
        """Have a worker here, and another when it ends, until `tell` says to stop and it has ended.

        Raises ConfigError or StartError if the first one cannot serve.
        """
        failures = 0
        while True:
            code = await self._live()
            if self._stopping.is_set():
                return
            if not self.served.is_set():
                if self._mistakes:
                    raise ConfigError(self._mistakes)
                raise StartError(f"worker {self.number} ended before it served ({_how(code)}); see its log above")
            steady = self._serving_since and time.monotonic() - self._serving_since >= STEADY_SECONDS
            failures = 1 if steady else failures + 1
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (failures - 1))
            log.warning(
                "a worker ended; another takes its place",
                extra={"worker": self.number, "ended": _how(code), "pause_seconds": pause, "detail": self._mistakes},
            )
            self.clean = True  # nobody is here who holds anything
            try:
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                return
            except TimeoutError:
                self._replaced += 1

    async def _live(self) -> int:
        """One worker, from its start to its end. Returns its exit code."""
        self.clean, self._mistakes, self._heard_at, self._serving_since = False, [], 0.0, 0.0
        self._turned_at = time.time()
        try:
            ours, self._process = _started()
        except OSError as error:
            log.error("no process can be started", extra={"worker": self.number, "detail": error.strerror})
            return NOT_STARTED
        self._channel = await Channel.over(ours)
        self._channel.send(self._assignment)
        if self._stopping.is_set():
            self._channel.send(Command.STOP)
        with contextlib.suppress(EOFError):
            while True:
                self._hear(await self._channel.receive(MESSAGES))
        await self._channel.close()
        self._channel = None
        code = await self._left()
        self._bury()
        self._turned_at = time.time()
        return code

    def _hear(self, message: Message) -> None:
        self._heard_at = time.monotonic()
        match message:
            case Report():
                self.snapshot = message.snapshot
                if message.asked:
                    self._answered()
                if not self._serving_since:
                    self._serving_since = self._heard_at
                    if self.served.is_set():
                        log.info("the new worker serves", extra={"worker": self.number})
                    self.served.set()
            case Misconfigured():
                self._mistakes = message.mistakes
            case Ended():
                self.snapshot = message.snapshot
                self.clean = message.clean
            case _:
                assert_never(message)

    async def _left(self) -> int:
        """The exit code of the process, which is at its end; killed if it does not end."""
        process = self._process
        assert process is not None
        waiting = asyncio.create_task(off_loop(process.wait))
        await asyncio.wait({waiting}, timeout=LEAVING_SECONDS)
        if not waiting.done():
            process.kill()
        return await waiting

    def _bury(self) -> None:
        """Keep what the worker that is gone has counted."""
        if self.snapshot is not None:
            self.snapshot.close(self._loss)
            self.ended = summed("", (self.ended, self.snapshot))
            self.snapshot = None
        self._answered()

    def _answered(self) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(None)
        self._asked = None

    async def refresh(self, seconds: float) -> None:
        """Have the worker report once more; after so many seconds its last report must do."""
        if self.snapshot is None or self._channel is None:
            return
        if self._asked is None:  # one question at a time: a worker that hangs is not asked again
            self._asked = asyncio.get_running_loop().create_future()
            self._channel.send(Command.REPORT)
        await asyncio.wait({self._asked}, timeout=seconds)

    def tell(self, command: Command) -> None:
        """Pass on a signal: there is no next worker."""
        self._stopping.set()
        if self._channel is not None:
            self._channel.send(command)

    def kill(self) -> None:
        """End the process at once, if there is one."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    @property
    def state(self) -> str:
        """`serving`, or what keeps the worker from it."""
        if self._channel is None:
            return "down"
        if self.snapshot is None:
            return Phase.STARTING.value
        if self.stuck:
            return "stuck"
        return self.snapshot.phase

    @property
    def stuck(self) -> bool:
        """Whether it has served, and reports no more."""
        return self.snapshot is not None and time.monotonic() - self._heard_at > SILENT_SECONDS

    @property
    def away_since(self) -> float:
        """Unix time since which its worker has not served, if it does not."""
        return time.time() - (time.monotonic() - self._heard_at) if self.stuck else self._turned_at

    def shown(self) -> dict[str, Any]:
        """What `/status` says of it."""
        return {
            "worker": self.number,
            "pid": self._process.pid if self._process is not None else None,
            "state": self.state,
            "replaced": self._replaced,
            "heard_seconds_ago": round(time.monotonic() - self._heard_at, 1) if self._heard_at else None,
        }


def _started() -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    """A worker, and our end of its channel: a fresh interpreter that finds its modules where this one does.

    In a process group of its own, so that a Ctrl-C of the terminal reaches it only by way of the supervisor.
    """
    path = os.pathsep.join(each or os.getcwd() for each in sys.path)
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            return ours, subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", "service.workers.worker", str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        except OSError:
            ours.close()
            raise


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
