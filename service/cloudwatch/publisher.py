"""Takes a snapshot every so often and tells CloudWatch what has been counted since the one before.

Whatever becomes of that, no event waits for it, and what waits here is bounded: the oldest of it is given up, and
counted. One warning when it begins to fail, one line when it works again.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from math import ceil
from typing import Final, Protocol, Self, TypeVar

from service.cloudwatch.datum import difference
from service.cloudwatch.totals import Totals, read
from service.cloudwatch.way import Packed, Unsent, Way
from service.config.cloudwatch import FLUSH_SECONDS, CloudWatchConfig
from service.delivery.backoff import delay
from service.outcome import Reason
from service.telemetry.meter import Meter
from service.telemetry.snapshot import Snapshot
from service.threads import off_loop

log = logging.getLogger(__name__)

T = TypeVar("T")

PENDING: Final = 60
"""Most that waits: an hour of minutes."""
PENDING_BYTES: Final = 4 * 2**20
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
_LAST_PAUSE_SECONDS: Final = 0.2
"""Between attempts at the end."""

Taken = Callable[[], Awaitable[Snapshot]]


class Apart(Protocol):
    """Calls a function where it holds up nothing."""

    async def __call__(self, function: Callable[..., T], /, *arguments: object) -> T:
        """What it returns."""


class Publisher:
    """Entered, it publishes; left, it tells what is left, for at most FLUSH_SECONDS."""

    def __init__(
        self,
        way: Way,
        taken: Taken,
        meter: Meter,
        interval: float,
        *,
        now: asyncio.Event | None = None,
        apart: Apart = off_loop,
        rng: random.Random | None = None,
    ) -> None:
        """`taken` gives a snapshot, `meter` counts what is published. `interval` in seconds. `now`: set, the end waits
        for nothing."""
        self._way = way
        self._taken = taken
        self._meter = meter
        self._interval = interval
        self._now = now or asyncio.Event()
        self._apart = apart
        self._rng = rng or random.Random()
        self._before: Totals | None = None
        self._pending: deque[Packed] = deque()
        self._in_flight: Packed | None = None
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._ending = asyncio.Event()
        self._fails_since: float | None = None
        self._lost = 0
        """Datums given up since it began to fail."""

    @property
    def pending_bytes(self) -> int:
        """What waits, in memory."""
        return sum(len(packed.body) for packed in self._pending)

    async def flush(self) -> None:
        """Take what was counted since the last time, to be sent."""
        snapshot, moment = await self._taken(), time.time()
        totals = read(snapshot, moment)
        self._pending.extend(await self._apart(self._packed, totals, self._before, moment))
        self._before = totals
        self._give_up_oldest()
        if self._pending:
            self._idle.clear()
            self._arrived.set()

    def _packed(self, totals: Totals, before: Totals | None, moment: float) -> list[Packed]:
        return self._way.packed(difference(totals, before), moment)

    async def _take_turns(self) -> None:
        """Flush at a moment of each interval, on the clock on the wall: so each minute has one. It is another moment
        for each replica."""
        loop = asyncio.get_running_loop()
        phase = self._rng.uniform(0.1, 0.9) * self._interval
        due = loop.time() + (phase - time.time()) % self._interval
        while True:
            await self._pause(due - loop.time())
            if self._ending.is_set():
                return
            try:
                await self.flush()
            except Exception:
                # a snapshot asks foreign sinks for their bills: whatever they raise, the next turn comes
                log.exception("metrics could not be taken")
            due += self._interval * max(1, ceil((loop.time() - due) / self._interval))

    async def _send(self) -> None:
        failures = 0
        while True:
            while not self._pending:
                self._idle.set()
                self._arrived.clear()
                await self._arrived.wait()
            packed = self._in_flight = self._pending.popleft()
            try:
                await self._sent(packed)
            except Unsent as error:
                self._in_flight = None
                self._fails(error.reason, error.detail)
                if error.hopeless:
                    self._give_up(packed)
                    continue
                self._pending.appendleft(packed)
                self._give_up_oldest()
                failures += 1
                await self._pause(delay(failures, error.after, self._rng, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))
                if self._ending.is_set():
                    await asyncio.sleep(_LAST_PAUSE_SECONDS)
            else:
                self._in_flight = None
                failures = 0
                self._meter.cloudwatch_published += packed.datums
                self._works()

    async def _sent(self, packed: Packed) -> None:
        """Raises Unsent and nothing else."""
        try:
            await self._way.send(packed)
        except Unsent:
            raise
        except Exception as error:
            # a defect, of ours or the SDK's: these datums are given up, and those behind them have their turn
            log.exception("metrics could not be sent")
            raise Unsent(Reason.SINK_ERROR.value, type(error).__name__, hopeless=True) from error

    async def _pause(self, seconds: float) -> None:
        """Return after so long, or when it ends."""
        with suppress(TimeoutError):  # it is over, as it mostly is
            async with asyncio.timeout(seconds):
                await self._ending.wait()

    def _give_up_oldest(self) -> None:
        size = self.pending_bytes
        while len(self._pending) > PENDING or size > PENDING_BYTES:
            oldest = self._pending.popleft()
            size -= len(oldest.body)
            self._fails(Reason.TIMEOUT.value, "nothing is taken, and no more may wait")
            self._give_up(oldest)

    def _give_up(self, packed: Packed) -> None:
        self._meter.cloudwatch_dropped += packed.datums
        self._lost += packed.datums

    def _fails(self, reason: str, detail: str) -> None:
        if self._fails_since is None:
            self._fails_since = asyncio.get_running_loop().time()
            self._lost = 0
            log.warning(
                "metrics cannot be published; events are not affected", extra={"reason": reason, "detail": detail}
            )

    def _works(self) -> None:
        if self._fails_since is not None:
            seconds = round(asyncio.get_running_loop().time() - self._fails_since, 1)
            self._fails_since = None
            log.info("metrics are published again", extra={"failed_seconds": seconds, "datums_dropped": self._lost})

    async def _last(self) -> None:
        """Flush once more, and return when all is sent."""
        await self._turns
        try:
            await self.flush()
        except Exception:
            # as in a turn; what waits is still to be sent
            log.exception("metrics could not be taken")
        await self._idle.wait()

    async def __aenter__(self) -> Self:
        self._turns = asyncio.create_task(self._take_turns(), name="cloudwatch turns")
        self._sending = asyncio.create_task(self._send(), name="cloudwatch sending")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending.set()
        last = asyncio.create_task(self._last(), name="cloudwatch last")
        hurried = asyncio.create_task(self._now.wait())
        await asyncio.wait([last, hurried], timeout=FLUSH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        tasks = (last, hurried, self._turns, self._sending)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        left = [*([self._in_flight] if self._in_flight else []), *self._pending]
        for packed in left:
            self._give_up(packed)
        if left:
            log.warning("the last metrics were not published", extra={"datums": sum(each.datums for each in left)})


@asynccontextmanager
async def publishing(
    settings: CloudWatchConfig, taken: Taken, meter: Meter, now: asyncio.Event | None = None
) -> AsyncIterator[None]:
    """Publishes as `settings` say, or not at all; see `Publisher`. Raises ConfigError."""
    async with AsyncExitStack() as stack:
        match settings.mode:
            case "off":
                yield
                return
            case "api":
                from service.cloudwatch import api  # the SDK, which a service without AWS need not load

                way: Way = await stack.enter_async_context(api.opened(settings))
            case "emf":
                from service.cloudwatch import emf

                way = await stack.enter_async_context(emf.opened(settings))
        await stack.enter_async_context(Publisher(way, taken, meter, settings.interval_seconds, now=now))
        yield
