"""The records of one request on their way, until all of them are safe or one of them cannot be now."""

import asyncio
from collections.abc import Sequence

from service.delivery.route import Route
from service.errors import Code, Draining, Unavailable
from service.receipt import Settlement
from service.receiving.flow import Flow
from service.receiving.handover import Handover
from service.receiving.received import Received

_RETRY_SECONDS = 5.0


class Delivery:
    """One request. Its flow is never closed: what it has handed over is heard of after the request was answered, so
    that it is known when the request comes again (`dedupe`).
    """

    def __init__(self, request_id: str, route: Route | None, handover: Handover) -> None:
        self.flow = Flow(request_id, route, handover, self)
        self._left = 0
        """Records that are not safe."""
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why not all is safe, in words; empty if it is. No error: raised, it would hold on to what holds it."""
        self._given_up = False

    async def safe(self, messages: list[Received], seconds: float) -> None:
        """Hand these over, and return once they are safe. Raises TimeoutError, or Unavailable.

        Empties `messages`: what a lane has taken is held by nobody else.
        """
        self._left = len(messages)
        self.flow.offer(messages)
        messages.clear()
        async with asyncio.timeout(seconds):
            trouble = await self._end
        if self._given_up:
            raise Draining()
        if trouble:
            raise Unavailable(Code.NOT_DELIVERED, trouble, _RETRY_SECONDS)

    def halt(self) -> None:
        """Hand nothing more over. If something was not, the request ends."""
        self.flow.halt()
        if self._left and self.flow.under_way < self._left:
            self.give_up()

    def give_up(self) -> None:
        """The service ends before all is safe."""
        if not self._end.done():
            self._given_up = True
            self._end.set_result("")

    def settled(self, flow: Flow, numbers: Sequence[int]) -> None:
        """See `Acknowledger`."""
        del flow
        self._left -= len(numbers)
        if not self._left:
            self._ended("")

    def failed(self, flow: Flow, number: int, why: Settlement) -> None:
        """See `Acknowledger`. Firehose sends the whole request again."""
        del flow
        self._ended(f"record {number}: {why.detail or why.fate.value}")

    def _ended(self, trouble: str) -> None:
        if not self._end.done():
            self._end.set_result(trouble)
