"""A flow: messages of one order (a partition, a message group, a request), handed over one after the other.

Each has a number, from 0 on. It is settled once all its events are, at every required lane, and all that was refused of
it is among the dead letters.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from service.codecs.draft import Draft, Refusal
from service.delivery.entry import Entry
from service.delivery.intake import Intake
from service.delivery.route import Route
from service.envelopes.contract import Skip
from service.errors import Busy, Draining, IngestError, TooLarge
from service.event import Event, Origin
from service.outcome import Reason
from service.receipt import Fate, Settlement
from service.receiving.handover import Handover
from service.receiving.identities import Identities
from service.receiving.letters import Letters
from service.receiving.progress import Progress
from service.receiving.received import Received, flawed, refused, too_large, whole

CHUNK_MESSAGES: Final = 500
"""Handed over at once: some 5 ms of work."""
_SAFE: Final = frozenset({Fate.DELIVERED, Fate.DEAD_LETTERED})


class Acknowledger(Protocol):
    """Whoever acknowledges the messages of a flow."""

    def settled(self, flow: "Flow", numbers: Sequence[int]) -> None:
        """These messages are safe."""

    def failed(self, flow: "Flow", number: int, why: Settlement) -> None:
        """This message is not, and this flow does nothing more for it: it has to come again, in another flow."""


class Flow:
    """Messages of one order. Only the event loop's thread calls it."""

    def __init__(self, name: str, route: Route | None, handover: Handover, acknowledger: Acknowledger) -> None:
        """`route`: where everything goes; None: by the type of each event."""
        self.name = name
        self.route = route
        self.closed = False
        self._unread_bytes = self._chunk_bytes = 0
        self._handover = handover
        self._acknowledger = acknowledger
        self._waiting: deque[Received] = deque()
        self._chunk: dict[int, Received] = {}
        """Of what was read last, by number."""
        self._intake: Intake | None = None
        """What was read, and is not taken yet."""
        self._parts: deque[Intake] = deque()
        """What comes after it."""
        self._offered = 0
        self._progress = Progress()
        self._letters = Letters(handover, self._buried)
        self._identities = Identities(handover.dedupe, name) if handover.dedupe is not None else None

    # --- what comes in

    def offer(self, messages: Iterable[Received]) -> int:
        """Hand these over when there is room, after those before. Returns the number of the first."""
        first = self._offered
        for received in messages:
            self._waiting.append(received)
            self._unread_bytes += received.size
            self._offered += 1
        self._handover.ready(self)
        return first

    @property
    def waiting_messages(self) -> int:
        """Messages that wait for room, read or not."""
        return len(self._waiting) + len(self._chunk)

    @property
    def waiting_bytes(self) -> int:
        """Of messages that no lane has, neither theirs nor that of dead letters."""
        return self._unread_bytes + self._chunk_bytes + self._letters.bytes

    @property
    def unsettled(self) -> int:
        """Messages that are not settled: those that wait, and those that failed, among them."""
        return self._offered - self._progress.settled

    @property
    def settled_before(self) -> int:
        """The number of the first message that is not settled: all before it are."""
        return self._progress.settled_before

    @property
    def under_way(self) -> int:
        """Messages that were read, and are neither settled nor have failed."""
        return self._progress.under_way

    def halt(self) -> list[int]:
        """Hand nothing more over. What was is still heard of. Returns the numbers of messages that were not, in order:
        they fail without a word more.
        """
        read = self._progress.read
        left = list(range(read, read + len(self._waiting)))
        intakes = [intake for intake in (self._intake, *self._parts) if intake is not None]
        # first: what is told on the way may halt it again
        self._discard()
        refused = [(number, 1) for number in self._letters.withdraw()]
        parts = [(number, part.expected) for intake in intakes for number, part in intake.split().items()]
        withdrawn = [each for each in refused + parts if each[1]]
        for number, fewer in withdrawn:
            self._progress.withdraw(number, fewer)
            if self._identities is not None:
                self._identities.let_go(number)
        return sorted({number for number, _ in withdrawn}) + left

    def _discard(self) -> None:
        self._waiting.clear()
        self._parts.clear()
        self._intake, self._chunk = None, {}
        self._unread_bytes = self._chunk_bytes = 0

    def close(self) -> None:
        """Hand nothing more over, and hear nothing more of what was. What is settled stays so."""
        self.closed = True
        self._discard()
        self._letters.close()
        self._handover.forget(self)
        if self._identities is not None:
            self._identities.let_all_go()

    # --- handing over

    def advance(self) -> bool:
        """Hand over what comes next, as far as there is room. Returns whether it could go on at once."""
        if self.closed:
            return False
        intake = self._intake or (self._parts.popleft() if self._parts else self._compose())
        self._intake = None
        if intake.routes:
            try:
                self._handover.accept(intake)
            except (Busy, Draining):
                self._intake = intake
                return False
            except TooLarge as error:
                self._too_much(intake, error)
            except Exception as error:  # noqa: BLE001 - a defect: what became of these is not known, and they come again
                why = Settlement(Fate.EXPIRED, Reason.INTERNAL, flawed(error, self.name).detail)
                for number in intake.split():
                    self._fail(number, why, ended=False)
        if not self._parts:
            self._chunk.clear()
            self._chunk_bytes = 0
        return bool(self._waiting or self._parts)

    @property
    def blocked(self) -> bool:
        """Whether it has something that no lane has room for."""
        return self._intake is not None

    def _compose(self) -> Intake:
        """The next messages, read: as many as every lane should be able to hold."""
        intake = Intake(self)
        waiting, most, chunk = self._waiting, self._handover.chunk_bytes, self._chunk
        while waiting and len(chunk) < CHUNK_MESSAGES and intake.charge < most:
            received = waiting[0]
            if chunk and received.size > most:
                break
            waiting.popleft()
            self._unread_bytes -= received.size
            self._chunk_bytes += received.size
            number = self._progress.begin()
            chunk[number] = received
            self._read_one(received, number, intake)
        self._count(list(chunk))
        return intake

    def _read_one(self, received: Received, number: int, intake: Intake) -> None:
        handover, message = self._handover, received.message
        trace = handover.trace(message) if message.headers or handover.poll is not None else None
        origin = Origin(handover.source, handover.now, handover.address, received.place, trace)
        headers = handover.texts(message)
        drafts = 0
        if received.refusal is not None:
            self._refuse(whole(received, origin, self.route), received.refusal, self.route, number, received.reason)
            return
        items = handover.decode(message)
        for item, found in enumerate(items):
            if type(found) is Draft:
                route = self.route
                named = f"{received.place}/{drafts}" if drafts else received.place
                drafts += 1
                try:
                    route = route or handover.routed(found)
                    if len(found.body) > route.max_event:
                        raise too_large(found, route)
                    event = route.event(found, headers, origin, named)
                    if self._identities is not None and self._is_duplicate(event, number, self._identities):
                        handover.deduplicated(route)
                        continue
                    intake.add(route, event, number)
                except Exception as error:  # noqa: BLE001 - a foreign schema may raise anything; see `flawed`
                    letter = refused(received, origin, route, found, named)
                    self._refuse(letter, flawed(error, self.name), route, number)
                    continue
                self._progress.expect(number, len(route.required))
            elif type(found) is Refusal:
                # a name of its own: a FIFO queue takes two letters of one name for one
                named = f"{received.place}/refused/{item}" if len(items) > 1 else received.place
                letter = refused(received, origin, self.route, found, named)
                self._refuse(letter, found.error, self.route, number)
            elif type(found) is Skip:
                handover.skipped(found.why)
            else:
                alien = flawed(TypeError(f"the codec found {type(found).__name__}, which is no event"), self.name)
                self._refuse(whole(received, origin, self.route), alien, self.route, number)

    def _too_much(self, intake: Intake, error: TooLarge) -> None:
        """No lane could hold it even if it were empty: message by message then, or whole among the dead letters."""
        parts = intake.split()
        if len(parts) > 1:
            self._parts.extendleft(reversed(parts.values()))
            return
        ((number, part),) = parts.items()
        self._progress.expect(number, 1 - part.expected)
        received = self._chunk[number]
        origin = Origin(self._handover.source, self._handover.now, self._handover.address, received.place)
        route = intake.routes[0]
        self._refuse(whole(received, origin, route), error, route, number)
        self._count([number])

    # --- duplicates

    def _is_duplicate(self, event: Event, number: int, identities: Identities) -> bool:
        def joined(safe: bool) -> None:
            if self.closed:
                return
            if safe:
                self._count([number])
            else:
                self._fail(number, Settlement(Fate.EXPIRED, Reason.SHUTDOWN, "what it is a duplicate of was not safe"))

        self._progress.expect(number)
        if identities.meet((event.route, event.attributes["source"], event.id), number, joined):
            return True
        self._progress.expect(number, -1)
        return False

    # --- dead letters

    def _refuse(
        self, letter: Event, error: IngestError, route: Route | None, number: int, reason: Reason = Reason.INVALID
    ) -> None:
        self._progress.expect(number)
        self._letters.write(letter, error, route, number, reason)

    def _buried(self, number: int, kept: bool) -> None:
        if kept:
            self._count([number])
        else:
            detail = "there can be no dead letter of it: its sink does not take one so large, or the service stops"
            self._fail(number, Settlement(Fate.REJECTED, Reason.INVALID, detail))

    # --- what became of them

    def settle(self, index: int, lane: str, settlement: Settlement) -> None:
        """See `Settles`."""
        del lane
        if self.closed:
            return
        if settlement.fate in _SAFE:
            self._count([index])
        else:
            self._fail(index, settlement)

    def settle_delivered(self, entries: Sequence[Entry]) -> None:
        """See `Settles`."""
        if not self.closed:
            self._count([entry.index for entry in entries])

    def _count(self, numbers: Iterable[int]) -> None:
        """Each of these waits for one thing less."""
        done = self._progress.count(numbers)
        if not done:
            return
        if self._identities is not None:
            self._identities.settled(done)
        self._acknowledger.settled(self, done)

    def _fail(self, number: int, why: Settlement, ended: bool = True) -> None:
        first = self._progress.fail(number)
        if ended:
            self._count([number])
        if first:
            if self._identities is not None:
                self._identities.let_go(number)
            self._acknowledger.failed(self, number, why)
