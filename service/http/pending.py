"""A request whose events are on their way: what it waits for, and the answer once that has come."""

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping, Sized
from functools import partial

from service.delivery.pipeline import Pipeline
from service.delivery.route import KEPT
from service.errors import DRAINING_RETRY_SECONDS
from service.http import answer
from service.http.answer import PIECE_EVENTS, Answer, Listing, Result
from service.http.preferences import Preferences
from service.http.reading import Refused, Taken
from service.http.turns import whole
from service.receipt import Fate, Receipt, Settlement

BURIAL_SECONDS = 2.0
"""How long an answer waits to be able to say that the dead letter of an invalid event is safe."""


class _Burials:
    """What became of the dead letters of one request. They hold on to this, and not to the request."""

    __slots__ = ("_then", "_timer", "kept", "open")

    def __init__(self) -> None:
        self.open = 0
        self.kept: set[int] = set()
        """Positions in the request of events whose dead letter is safe."""
        self._then: Callable[[], object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def ended(self, index: int, kept: bool) -> None:
        """The dead letter of the event at `index` is safe, or never will be."""
        if kept:
            self.kept.add(index)
        self.open -= 1
        if not self.open:
            self._go_on()

    def await_all(self, then: Callable[[], object]) -> None:
        """Call `then` once all have ended, or after BURIAL_SECONDS."""
        self._then = then
        if self.open:
            self._timer = asyncio.get_running_loop().call_later(BURIAL_SECONDS, self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        then = self._then
        self.forget()
        if then is not None:
            then()

    def forget(self) -> None:
        """Nobody waits any more."""
        self._then = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Pending:
    """Call `wait`, or `on_settled`; then `answer`, or `answering` if `is_long`."""

    def __init__(
        self,
        items: list[Refused | Taken],
        receipt: Receipt | None,
        pipeline: Pipeline,
        request_id: str,
        prefer: Preferences,
    ) -> None:
        self._items = items
        self._receipt = receipt
        self._pipeline = pipeline
        self._request_id = request_id
        self._prefer = prefer
        self._burials: _Burials | None = None

    def bury_invalid(self) -> None:
        """Send a copy of each invalid event to the dead letters of its route, where the route keeps them."""
        self._burials = burials = _Burials()
        for index, item in enumerate(self._items):
            if isinstance(item, Refused) and item.letter is not None and item.route is not None:
                letters, letter, item.letter = item.route.dead_letters, item.letter, None
                if letters is None:
                    continue
                errors = item.error.members.get("errors", ())
                ended = partial(burials.ended, index)
                burials.open += letters.bury_invalid(letter, item.error.detail, errors, ended)

    def on_settled(self, callback: Callable[[], object]) -> None:
        """Call `callback`, which may not raise, when every event is settled, maybe at once; unless it is forgotten."""
        then = callback if self._burials is None else partial(self._burials.await_all, callback)
        if self._receipt is None:
            then()
        else:
            self._receipt.on_done(then)

    def forget(self) -> None:
        """Call nobody any more: what is not settled by now is answered as unknown."""
        if self._receipt is not None:
            self._receipt.forget()
        if self._burials is not None:
            self._burials.forget()

    async def wait(self, seconds: float) -> None:
        """Return once every event is settled, or after `seconds`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_settled(lambda: None if waiter.done() else waiter.set_result(None))
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            return
        finally:
            self.forget()

    @property
    def is_long(self) -> bool:
        """Whether its answer may take more than a piece of work: then `answering` is for it."""
        return len(self._items) > PIECE_EVENTS

    def answer(self) -> Answer:
        """The answer, from what is settled by now."""
        return whole(self.answering())

    def answering(self) -> Generator[None, None, Answer]:
        """The same, piece by piece."""
        receipt, minimal = self._receipt, self._prefer.minimal
        if receipt is not None and receipt.all_delivered:
            ids = [item.id for item in self._items if isinstance(item, Taken)]
            if len(ids) == len(self._items):
                stored = receipt.lanes.count(KEPT)
                if stored in (0, len(ids)):
                    return (yield from answer.many_safe(ids, self._request_id, minimal, stored=stored > 0))
        listing = Listing(minimal)
        for first in range(0, len(self._items), PIECE_EVENTS):
            some = self._items[first : first + PIECE_EVENTS]
            listing.add([self._result(index, item) for index, item in enumerate(some, first)])
            yield
        return listing.answer(self._request_id, self._retry_after, self._prefer.strict)

    def _result(self, index: int, item: Refused | Taken) -> Result:
        if isinstance(item, Refused):
            return answer.refused(index, item.id, item.error, self._burials is not None and index in self._burials.kept)
        receipt = self._receipt
        assert receipt is not None
        failures = receipt.failures(item.position)
        if receipt.done and not failures:
            safe = answer.stored if receipt.lanes[item.position] is KEPT else answer.delivered
            return safe(index, item.id)
        return answer.undelivered(index, item.id, receipt.lanes[item.position], failures, receipt.done)

    def _retry_after(self) -> float:
        receipt = self._receipt
        taken = [item.position for item in self._items if isinstance(item, Taken)] if receipt is not None else []
        return _retry_after(self._pipeline, [receipt.failures(each) for each in taken] if receipt is not None else [])


class PendingOne:
    """What `Pending` is, of a request whose one event a lane has taken: receipt and answer in one."""

    __slots__ = ("_callback", "_failures", "_id", "_lanes", "_left", "_pipeline", "_prefer", "_request_id")

    def __init__(
        self, id: str, lanes: tuple[str, ...], pipeline: Pipeline, request_id: str, prefer: Preferences
    ) -> None:
        """`id`: the event's. `lanes`: those that are required."""
        self._id = id
        self._lanes = lanes
        self._left = len(lanes)
        self._failures: dict[str, Settlement] | None = None
        self._pipeline = pipeline
        self._request_id = request_id
        self._prefer = prefer
        self._callback: Callable[[], object] | None = None

    def settle(self, index: int, lane: str, settlement: Settlement) -> None:
        """The event has ended at one lane. Raises RuntimeError if it has already."""
        del index
        if settlement.fate is not Fate.DELIVERED:
            if self._failures is None:
                self._failures = {}
            if lane in self._failures:
                raise RuntimeError(f"an event was settled twice by lane {lane!r}")
            self._failures[lane] = settlement
        self._count(1)

    def settle_delivered(self, entries: Sized) -> None:
        """It has ended at so many lanes. Raises RuntimeError if there are not so many."""
        self._count(len(entries))

    def _count(self, settled: int) -> None:
        if settled > self._left:
            raise RuntimeError("an event was settled by more lanes than it was put into")
        self._left -= settled
        if not self._left and self._callback is not None:
            self._callback()

    def on_settled(self, callback: Callable[[], object]) -> None:
        """Call `callback`, which may not raise, when the event is settled, maybe at once; unless it is forgotten."""
        self._callback = callback
        if not self._left:
            callback()

    def forget(self) -> None:
        """Call nobody any more: what is not settled by now is answered as unknown."""
        self._callback = None

    def answer(self) -> Answer:
        """The answer, from what is settled by now."""
        minimal = self._prefer.minimal
        if not self._left and self._failures is None:
            return answer.all_safe((self._id,), self._request_id, minimal, stored=self._lanes is KEPT)
        failures = self._failures or {}
        listing = Listing(minimal)
        listing.add([answer.undelivered(0, self._id, self._lanes, failures, not self._left)])
        return listing.answer(self._request_id, partial(_retry_after, self._pipeline, (failures,)))


def _retry_after(pipeline: Pipeline, failures: Iterable[Mapping[str, Settlement]]) -> float:
    """Seconds after which the lanes to which events may be sent again should have room. `failures`: of each event, by
    lane."""
    if pipeline.draining:
        return DRAINING_RETRY_SECONDS
    failed: set[str] = set()
    for each in failures:
        if not any(settlement.refused for settlement in each.values()):
            failed.update(each)
    return max((pipeline.retry_after(lane) for lane in failed), default=1.0)
