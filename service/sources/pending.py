"""A request whose events are on their way: what it waits for, and the answer once that has come."""

import asyncio
from collections.abc import Callable
from functools import partial

from service.delivery.pipeline import DRAINING_RETRY_SECONDS, Pipeline
from service.receipt import Receipt
from service.sources import answer
from service.sources.answer import Answer, Result
from service.sources.preferences import Preferences
from service.sources.reading import Refused, Taken

BURIAL_SECONDS = 2.0
"""How long an answer waits to be able to say that the dead letter of an invalid event is safe."""


class _Burials:
    """What became of the dead letters of one request. They hold on to this, and not to the request."""

    __slots__ = ("all_ended", "kept", "open", "then")

    def __init__(self) -> None:
        self.open = 0
        self.kept: set[int] = set()
        """Positions in the request of events whose dead letter is safe."""
        self.all_ended = asyncio.Event()
        self.then: Callable[[], object] | None = None
        """Called when all have ended."""

    def ended(self, index: int, kept: bool) -> None:
        """The dead letter of the event at `index` is safe, or never will be."""
        if kept:
            self.kept.add(index)
        self.open -= 1
        if not self.open:
            self.all_ended.set()
            if self.then is not None:
                self.then()


class Pending:
    """Call `wait`, or `on_settled`; then `answer`."""

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
        self._burials = _Burials()

    def bury_invalid(self) -> None:
        """Send a copy of each invalid event to the dead letters of its route, where the route keeps them."""
        for index, item in enumerate(self._items):
            if isinstance(item, Refused) and item.letter is not None and item.route is not None:
                letters, letter, item.letter = item.route.dead_letters, item.letter, None
                if letters is None:
                    continue
                errors = item.error.members.get("errors", ())
                ended = partial(self._burials.ended, index)
                self._burials.open += letters.bury_invalid(letter, item.error.detail, errors, ended)

    def on_settled(self, callback: Callable[[], object]) -> None:
        """Call `callback` once every event is settled, maybe at once, maybe twice. It may not raise."""
        if self._receipt is None:
            self._await_burials(callback)
        else:
            self._receipt.on_done(partial(self._await_burials, callback))

    def _await_burials(self, callback: Callable[[], object]) -> None:
        if self._burials.open:
            self._burials.then = callback
            asyncio.get_running_loop().call_later(BURIAL_SECONDS, callback)
        else:
            callback()

    async def wait(self, seconds: float) -> None:
        """Return once every event is settled, or after `seconds`."""
        if self._receipt is not None and not self._receipt.done:
            try:
                async with asyncio.timeout(seconds):
                    await self._receipt.wait()
            except TimeoutError:
                return
        if self._burials.open:
            try:
                async with asyncio.timeout(BURIAL_SECONDS):
                    await self._burials.all_ended.wait()
            except TimeoutError:
                return

    def answer(self) -> Answer:
        """The answer, from what is settled by now."""
        results = [self._result(index, item) for index, item in enumerate(self._items)]
        if self._prefer.strict and any(result.status == "invalid" for result in results):
            return answer.strictly(results, self._request_id, self._prefer.minimal)
        return answer.of_results(results, self._request_id, self._retry_after, self._prefer.minimal)

    def _result(self, index: int, item: Refused | Taken) -> Result:
        if isinstance(item, Refused):
            return answer.refused(index, item.id, item.error, index in self._burials.kept)
        receipt = self._receipt
        assert receipt is not None
        failures = receipt.failures(item.position)
        if receipt.done and not failures:
            return answer.delivered(index, item.id)
        return answer.undelivered(index, item.id, receipt.lanes[item.position], failures, receipt.done)

    def _retry_after(self) -> float:
        """Seconds after which the lanes whose events may be sent again should have room."""
        if self._pipeline.draining:
            return DRAINING_RETRY_SECONDS
        failed: set[str] = set()
        for item in self._items:
            if isinstance(item, Taken) and self._receipt is not None:
                failures = self._receipt.failures(item.position)
                if not any(settlement.refused for settlement in failures.values()):
                    failed.update(failures)
        lanes = self._pipeline.lanes
        return max((lanes[lane].retry_after() for lane in failed), default=1.0)
