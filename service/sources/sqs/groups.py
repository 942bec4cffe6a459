"""Message groups, each a flow of its own for as long as something of it is in flight; a standard queue is one group."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Final

from service.delivery.route import Route
from service.receipt import Fate, Settlement
from service.receiving.flow import Flow
from service.receiving.handover import Handover
from service.receiving.received import Received
from service.sources.sqs.deletion import Deletion
from service.sources.sqs.flight import Flight, InFlight
from service.sources.sqs.message import SqsMessage, received, receives

log = logging.getLogger(__name__)

LONGEST_SECONDS: Final = 300
"""Most that a message which failed stays away; it is twice as long each time that it comes."""


class Group:
    """The messages of one flow that are in flight."""

    __slots__ = ("away", "flow", "key", "messages")

    def __init__(self, key: str, flow: Flow) -> None:
        self.key = key
        self.flow = flow
        self.messages: dict[int, InFlight] = {}
        """By their numbers, in order."""
        self.away: int | None = None
        """It failed: all of it is to stay away for so many seconds once nothing of it is under way."""


class Groups:
    """All groups of one source that have something. Hears what becomes of their messages."""

    def __init__(
        self,
        handover: Handover,
        flight: Flight,
        deletion: Deletion,
        *,
        fifo: bool,
        max_receives: int,
        route: Route | None,
        changed: Callable[[], object],
    ) -> None:
        """`route`: None for `events`. `changed` is called when there may be more room."""
        self._handover = handover
        self._flight = flight
        self._deletion = deletion
        self._fifo = fifo
        self._max_receives = max_receives
        self._route = route
        self._changed = changed
        self._rng = random.Random()
        self._loop = asyncio.get_running_loop()
        self._open: dict[str, Group] = {}
        """Where what comes next goes."""
        self._groups: dict[Flow, Group] = {}
        self._stuck: tuple[str, float] | None = None
        """What nothing takes, in words, and until when that is news."""
        self._stopped = False

    @property
    def trouble(self) -> str | None:
        """A message that can be neither delivered nor buried."""
        return self._stuck[0] if self._stuck is not None and self._loop.time() < self._stuck[1] else None

    @property
    def waiting_messages(self) -> int:
        """Messages for which there is no room yet."""
        return sum(flow.waiting_messages for flow in self._groups)

    @property
    def waiting_bytes(self) -> int:
        """Of them."""
        return sum(flow.waiting_bytes for flow in self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def take(self, messages: Sequence[SqsMessage]) -> None:
        """Hand these over, each after those of its group."""
        offered: dict[str, tuple[list[Received], list[InFlight]]] = {}
        # all are read before the first is held: from then on nothing may go wrong
        read = [
            (received(each, fifo=self._fifo, max_receives=self._max_receives), each["ReceiptHandle"], receives(each))
            for each in messages
        ]
        for found, handle, times in read:
            entered = self._flight.enter(found.place, handle, times)
            if entered is not None:
                some, flying = offered.setdefault(found.message.key or "", ([], []))
                some.append(found)
                flying.append(entered)
        if self._stopped:
            self._flight.give_back([each for _, flying in offered.values() for each in flying], 0)
            return
        for key, (some, flying) in offered.items():
            own = self._open.get(key)
            if own is not None and own.away is not None:
                # its messages became visible too early; they must not overtake those that failed
                self._flight.give_back(flying, own.away)
                continue
            if own is None:
                name = f"{self._handover.source}/{key}" if key else self._handover.source
                own = self._open[key] = Group(key, Flow(name, self._route, self._handover, self))
                self._groups[own.flow] = own
            for number, each in enumerate(flying, own.flow.offer(some)):
                each.number = number
                own.messages[number] = each

    def stop(self) -> None:
        """Hand over nothing more, and give back what was not handed over."""
        self._stopped = True
        for own in list(self._groups.values()):
            self._give_back(own, own.flow.halt(), 0)
            self._look(own)

    def end(self) -> None:
        """Hear nothing more, and give back all that is not settled."""
        self._stopped = True
        for own in list(self._groups.values()):
            own.flow.close()
            self._give_back(own, list(own.messages), 0)
            self._look(own)

    # --- what became of the messages

    def settled(self, flow: Flow, numbers: Sequence[int]) -> None:
        """See `Acknowledger`: of a message group the settled prefix is deleted, so that nothing overtakes a failure."""
        own = self._groups.get(flow)
        if own is None:
            return
        if self._fifo:
            end = flow.settled_before
            numbers = [number for number in own.messages if number < end]
        self._deletion.add([each for number in numbers if (each := own.messages.pop(number, None)) is not None])
        self._look(own)
        self._changed()

    def failed(self, flow: Flow, number: int, why: Settlement) -> None:
        """See `Acknowledger`. It may be told in the midst of handing over."""
        self._loop.call_soon(self._fail, flow, number, why)

    def _fail(self, flow: Flow, number: int, why: Settlement) -> None:
        own = self._groups.get(flow)
        message = own.messages.get(number) if own is not None else None
        if own is None or message is None:
            return
        seconds = 0 if self._stopped else self._seconds(message.receives)
        if why.fate is Fate.REJECTED and not self._stopped:
            detail = f"message {message.id} can be neither delivered nor buried: {why.detail}"
            log.critical("a message can be neither delivered nor buried", extra={"source": self._handover.source})
            self._stuck = detail, self._loop.time() + 2 * LONGEST_SECONDS
        if self._fifo:
            own.away = max(seconds, own.away or 0)
            flow.halt()
        else:
            self._give_back(own, [number], seconds)
            # what comes next goes into another flow: this one remembers for ever what has failed
            self._open.pop(own.key, None)
        self._look(own)
        self._changed()

    def _seconds(self, times: int) -> int:
        """How long a message that was received so often stays away: a second, doubled, and half of it by chance."""
        longest = min(LONGEST_SECONDS, 1 << min(times, 10))
        return max(1, round(longest * self._rng.uniform(0.5, 1.0)))

    def _give_back(self, own: Group, numbers: Sequence[int], seconds: int) -> None:
        left = [each for number in numbers if (each := own.messages.pop(number, None)) is not None]
        self._flight.give_back(left, seconds)

    def _look(self, own: Group) -> None:
        """Whether the group is over."""
        if own.away is not None and not own.flow.under_way:
            self._give_back(own, list(own.messages), 0 if self._stopped else own.away)
        if not own.messages:
            self._groups.pop(own.flow, None)
            if self._open.get(own.key) is own:
                del self._open[own.key]
