"""Sends dead letters' events again: at a bound rate, one after the other where they share a key, each confirmed by the
service before its letter is taken away. A run may end at any point, and the next one goes on from there.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from zlib import crc32

from service.config.settings import RouteConfig
from service.delivery.backoff import delay
from service.dlq.letter import Letter, NotALetterError
from service.dlq.posting import Posting, UnsendableError, posting
from service.dlq.reader import Reader, Stored, unsettled
from service.dlq.selection import Selection
from service.dlq.sender import Answer, Sender
from service.dlq.settled import Settled

WORKERS = 8
SKEW = timedelta(seconds=5)
"""How far the clocks of the service and of this machine may differ. A letter that is a little older than the sending of
its event stays for the next run, which does no harm."""
PATIENCE_SECONDS = 300.0
"""How long the service may be busy or away in one go before a run gives up."""


@dataclass
class Tally:
    """What a run did. Of the letters that were asked for: confirmed + replaced + refused + unsendable + left."""

    selected: int = 0
    confirmed: int = 0
    copies: int = 0
    """Of the confirmed, those that were not sent: another letter of the same event had been, in the same run."""
    replaced: int = 0
    """Refused again, and replaced by the new letter that the service has written."""
    refused: Counter[str] = field(default_factory=Counter)
    """Refused again, and kept: by the answer's words."""
    unsendable: Counter[str] = field(default_factory=Counter)
    strangers: int = 0
    """Records that are no letters."""
    stopped: str = ""
    """Why the run ended early."""

    @property
    def left(self) -> int:
        """Selected, and not come to an answer: only in a run that was stopped."""
        return self.selected - self.confirmed - self.replaced - self.refused.total() - self.unsendable.total()

    @property
    def complete(self) -> bool:
        """Whether nothing is left of what was asked for."""
        return not self.stopped and self.confirmed == self.selected


@dataclass(frozen=True)
class Plan:
    """What to send, where to and how fast."""

    selection: Selection
    routes: Mapping[str, RouteConfig]
    to: str | None = None
    sink: str = ""
    """The sink that is read."""
    per_second: float | None = None
    limit: int | None = None


class _Stop(Exception):
    """No other event would fare better."""


class Replay:
    """One run over one sink's letters."""

    def __init__(
        self, reader: Reader, settled: Settled, sender: Sender, plan: Plan, told: Callable[[Tally], None]
    ) -> None:
        """`told` is called whenever a letter is done with."""
        self.tally = Tally()
        self._reader = reader
        self._settled = settled
        self._sender = sender
        self._plan = plan
        self._told = told
        self._rng = random.Random()
        self._answers: dict[str, Answer] = {}
        """The last word on each event that was sent in this run: its other letters are not sent again."""
        self._sent_at: dict[str, datetime] = {}
        """When each of them was sent first: a letter from then on tells of this run, and stays."""
        self._next_at = 0.0
        self._pause_until = 0.0
        self._failing_since: float | None = None

    async def run(self) -> Tally:
        """Returns when all that was selected has an answer, or the run has to stop. Raises StoreError."""
        queues: list[asyncio.Queue[tuple[Stored, Posting] | None]] = [asyncio.Queue(2) for _ in range(WORKERS)]
        try:
            async with asyncio.TaskGroup() as group:
                for queue in queues:
                    group.create_task(self._work(queue))
                await self._feed(queues)
        except BaseExceptionGroup as group:
            stops, others = group.split(_Stop)
            if others is not None:
                raise others.exceptions[0] from None
            assert stops is not None
            self.tally.stopped = str(stops.exceptions[0])
        return self.tally

    async def _feed(self, queues: "list[asyncio.Queue[tuple[Stored, Posting] | None]]") -> None:
        plan, tally = self._plan, self.tally
        async with aclosing(unsettled(self._reader, self._settled, removing=True)) as letters:
            async for stored in letters:
                if plan.limit is not None and tally.selected >= plan.limit:
                    break
                try:
                    letter = Letter.parse(stored.raw)
                except NotALetterError:
                    tally.strangers += 1
                    continue
                if plan.selection.takes(letter) and not self._born_of_this_run(letter):
                    await self._queue(stored, letter, queues)
        for queue in queues:
            await queue.put(None)

    def _born_of_this_run(self, letter: Letter) -> bool:
        """Whether the service has written it because this run sent the event.

        An answer tells only of required sinks: one of best effort may have refused the event once more, and its new
        letter is then all that is left of it there.
        """
        identity = _identity(letter, self._plan)
        sent_at, answer = self._sent_at.get(identity), self._answers.get(identity)
        if answer is not None and answer.dead_lettered:
            return True
        return sent_at is not None and letter.dead_lettered_at >= sent_at - SKEW

    async def _queue(
        self, stored: Stored, letter: Letter, queues: "list[asyncio.Queue[tuple[Stored, Posting] | None]]"
    ) -> None:
        self.tally.selected += 1
        try:
            found = posting(letter, self._plan.to, self._plan.routes)
        except UnsendableError as error:
            self.tally.unsendable[str(error)] += 1
            self._told(self.tally)
            return
        await queues[crc32(found.order.encode()) % WORKERS].put((stored, found))

    async def _work(self, queue: "asyncio.Queue[tuple[Stored, Posting] | None]") -> None:
        while (item := await queue.get()) is not None:
            stored, found = item
            answer = self._answers.get(found.identity)
            copy = answer is not None
            if answer is None:
                self._sent_at[found.identity] = datetime.now(UTC)
                answer = self._answers[found.identity] = await self._sent(found)
            await self._end(stored, found, answer, copy)
            self._told(self.tally)

    async def _sent(self, found: Posting) -> Answer:
        """The first answer that is not passing. Raises _Stop."""
        failures = 0
        while True:
            await self._turn()
            answer = await self._sender.send(found)
            if answer.unwelcome:
                raise _Stop(f"{answer.status} {answer.code}: {answer.detail}; give a key of this route with --key")
            if not answer.passing:
                self._failing_since = None
                return answer
            failures += 1
            now = monotonic()
            self._failing_since = self._failing_since or now
            if now - self._failing_since > PATIENCE_SECONDS:
                raise _Stop(f"no event was taken for {PATIENCE_SECONDS:g} s: {answer.code}: {answer.detail}")
            self._pause_until = max(self._pause_until, now + delay(failures, answer.retry_after, self._rng))

    async def _turn(self) -> None:
        """Wait until the rate and the service's Retry-After allow another request."""
        while (pause := self._pause_until - monotonic()) > 0:  # noqa: ASYNC110 - another answer may have prolonged it
            await asyncio.sleep(pause)
        if self._plan.per_second is not None:
            now = monotonic()
            at = max(now, self._next_at)
            self._next_at = at + 1 / self._plan.per_second
            await asyncio.sleep(at - now)

    async def _end(self, stored: Stored, found: Posting, answer: Answer, copy: bool) -> None:
        if answer.confirmed:
            self._settled.add(stored.position)
            await self._reader.remove(stored)
            self.tally.confirmed += 1
            self.tally.copies += copy
        elif answer.dead_lettered and not copy and self._comes_back(found.route):
            # two letters of one refusal would be four after the next run
            self._settled.add(stored.position)
            await self._reader.remove(stored)
            self.tally.replaced += 1
        else:
            detail = f"{answer.code}: {answer.detail}" if answer.detail else answer.code
            self.tally.refused[f"{answer.status} {detail}"] += 1

    def _comes_back(self, route: str) -> bool:
        """Whether the route's dead letters go to the sink that is read."""
        settings = self._plan.routes.get(route)
        return (
            settings is not None and settings.dead_letter is not None and settings.dead_letter.sink == self._plan.sink
        )


def _identity(letter: Letter, plan: Plan) -> str:
    try:
        return posting(letter, plan.to, plan.routes).identity
    except UnsendableError:
        return ""
