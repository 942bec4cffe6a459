"""The partitions that are ours: how far ahead of what is settled each may be, and what is done when one goes.

Back-pressure, in this order: the lanes have no room, so messages wait here; the poll waits for a moment; then
partitions that are too far ahead are paused, and the poll goes on, so that the group does not think us dead.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from confluent_kafka import Message as KafkaMessage

from service.delivery.route import Route
from service.receipt import Fate, Settlement
from service.receiving.flow import Flow
from service.receiving.handover import Handover
from service.sources.kafka.lag import Lag
from service.sources.kafka.partition import LONGEST_AGAIN, SHORTEST_AGAIN, Key, Partition, by_partition
from service.sources.kafka.polling import MOST_BATCHES, Polling, batch_messages
from service.telemetry.source import SourceGauges

if TYPE_CHECKING:
    from service.sources.kafka.source import Kafka

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 0.5
"""How long the poll waits for room. To pause a partition costs what was fetched of it."""
RESUME_PART: Final = 2
"""A paused partition goes on when it is ahead by this part of what it may be, a half."""
LOOK_SECONDS: Final = 0.1
"""Between looks at whether what goes is settled."""


class Assignment:
    """All partitions of one source. Only the event loop's thread calls it."""

    def __init__(
        self, name: str, config: "Kafka.Config", handover: Handover, route: Callable[[str], Route | None]
    ) -> None:
        """`route`: of a topic."""
        self.name = name
        self._config = config
        self._latest = config.start == "latest"
        window = config.window_messages
        # what has been polled when a partition is paused comes on top
        self._most_messages = max(1, window - MOST_BATCHES * batch_messages(window))
        self._handover = handover
        self._route = route
        self._loop = asyncio.get_running_loop()
        self._partitions: dict[Key, Partition] = {}
        self._flows: dict[Flow, Partition] = {}
        self._lag = Lag()
        self._batches = 0
        """Of which the poll was not told that they are taken: it waits."""
        self._waiting: asyncio.TimerHandle | None = None
        """Until it waits no longer."""
        self._trouble: str | None = None
        self._stuck: dict[Key, str] = {}
        self._again_seconds: dict[Key, float] = {}
        self._again: dict[Key, asyncio.TimerHandle] = {}
        self._polling: Polling | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def begin(self, polling: Polling) -> None:
        """`polling` tells what comes, and is told what to do."""
        self._polling = polling

    def stop(self) -> None:
        """Nothing is handed over any more, and nothing received: only what is under way is committed."""
        self._stopped = True
        for partition in self._partitions.values():
            partition.halt()
        if self._polling is not None:
            self._polling.pause(list(self._partitions))
        for timer in self._again.values():
            timer.cancel()
        self._free()

    def end(self) -> None:
        """The thread has ended."""
        self._polling = None
        for partition in list(self._partitions.values()):
            self._drop(partition)

    @property
    def gauges(self) -> SourceGauges:
        """See `Source`."""
        partitions = self._partitions.values()
        return SourceGauges(
            source=self.name,
            trouble=self._trouble or next(iter(self._stuck.values()), None),
            lag=self._lag.of(partitions),
            waiting_messages=sum(each.flow.waiting_messages for each in partitions),
            waiting_bytes=self._waiting_bytes(),
            unsettled_messages=sum(each.flow.unsettled for each in partitions),
            partitions=len(partitions),
            paused=sum(each.paused for each in partitions),
        )

    def _waiting_bytes(self) -> int:
        return sum(each.flow.waiting_bytes for each in self._partitions.values())

    # --- what the thread tells (see `Listener`)

    def received(self, messages: Sequence[KafkaMessage]) -> None:
        """Messages came."""
        self._batches += 1
        for key, each in by_partition(messages):
            if (partition := self._partitions.get(key)) is not None:
                try:
                    partition.receive(each)
                except Exception as error:
                    # a defect, ours or confluent-kafka's: nothing is to be committed beyond it
                    log.exception("messages could not be read", extra={"source": self.name})
                    partition.halt()
                    self._stuck[key] = f"partition {partition.flow.name} stands still: {type(error).__name__}"
        self._look_for_room()

    def ended(self, ends: Sequence[tuple[Key, int]]) -> None:
        """Partitions were read to their ends."""
        for key, offset in ends:
            if (partition := self._partitions.get(key)) is not None:
                self._lag.ended(key, offset)
                partition.ends(offset)

    def assigned(self, keys: Sequence[Key]) -> None:
        """Partitions came."""
        for key in keys:
            try:
                self._begin(key)
            except LookupError as unknown:
                self._stuck[key] = str(unknown)  # its messages are passed over, and none is committed

    def restarted(self, key: Key) -> None:
        """A partition is read again."""
        if key in self._partitions:
            self._begin(key)

    def _begin(self, key: Key) -> None:
        if (before := self._partitions.get(key)) is not None:
            self._drop(before)
            if before.paused and self._polling is not None:
                self._polling.resume([key])
        flow = Flow(f"{key[0]}/{key[1]}", self._route(key[0]), self._handover, self)
        partition = Partition(key, flow, self._most_messages, self._config.window_bytes, commits_start=self._latest)
        self._partitions[key] = self._flows[flow] = partition
        if self._stopped:
            partition.halt()

    def revoking(self, keys: Sequence[Key], result: "Future[dict[Key, int]]") -> None:
        """Partitions are about to go."""
        task = self._loop.create_task(self._settle(keys, result), name=f"revoke {self.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, keys: Sequence[Key], result: "Future[dict[Key, int]]") -> None:
        """Take nothing more of these, wait for what their lanes hold, and tell what to commit."""
        going = [partition for key in keys if (partition := self._partitions.get(key)) is not None]
        for partition in going:
            partition.halt()
        # at the end of the service the lanes have had their time
        end = self._loop.time() + (0 if self._stopped else self._config.revoke_timeout)
        while any(each.flow.under_way for each in going) and self._loop.time() < end:  # noqa: ASYNC110 - rare; many flows
            await asyncio.sleep(LOOK_SECONDS)
        positions = {}
        for partition in going:
            partition.advance()
            if partition.position is not None:
                # what was committed without waiting may have failed
                positions[partition.key] = partition.position
            self._drop(partition)
        if not result.cancelled():
            result.set_result(positions)

    def gone(self, keys: Sequence[Key]) -> None:
        """Partitions are somebody else's."""
        for key in keys:
            self._stuck.pop(key, None)
            if (partition := self._partitions.get(key)) is not None:
                self._drop(partition)
        self._look_for_room()

    def _drop(self, partition: Partition) -> None:
        """Settlements that come later are ignored."""
        partition.flow.close()
        self._flows.pop(partition.flow, None)
        self._partitions.pop(partition.key, None)
        self._stuck.pop(partition.key, None)
        self._lag.forget(partition.key)
        if (timer := self._again.pop(partition.key, None)) is not None:
            timer.cancel()

    def uncommitted(self, keys: Sequence[Key]) -> None:
        """They are committed again."""
        for key in keys:
            if (partition := self._partitions.get(key)) is not None:
                partition.committed = None

    def seen(self, ends: Mapping[Key, int], starts: Mapping[Key, int]) -> None:
        """For the lag."""
        self._lag.seen(ends, starts, self._partitions)

    def troubled(self, trouble: str | None) -> None:
        """For the health."""
        self._trouble = trouble

    # --- room

    def _look_for_room(self) -> None:
        """Let the poll go on, unless partitions are too far ahead; if that does not end soon, they are paused."""
        if self._stopped or next(iter(self._too_far()), None) is None:
            self._free()
        elif self._batches and self._waiting is None:
            self._waiting = self._loop.call_later(PATIENCE_SECONDS, self._pause)

    def _free(self) -> None:
        batches, self._batches = self._batches, 0
        if self._polling is not None:
            for _ in range(batches):
                self._polling.taken()
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_far(self) -> Iterable[Partition]:
        full = self._waiting_bytes() >= self._config.memory
        for partition in self._partitions.values():
            if not partition.paused and (partition.is_over() or (full and partition.flow.waiting_bytes)):
                yield partition

    def _pause(self) -> None:
        over = list(self._too_far())
        for partition in over:
            partition.paused = True
        if self._polling is not None:
            self._polling.pause([partition.key for partition in over])
        self._free()

    def _resume(self) -> None:
        if self._polling is None or self._waiting_bytes() * RESUME_PART >= self._config.memory:
            return
        freed = [each for each in self._partitions.values() if each.paused and not each.is_over(RESUME_PART)]
        for partition in freed:
            partition.paused = False
        if freed:
            self._polling.resume([partition.key for partition in freed])

    # --- what became of the messages

    def settled(self, flow: Flow, numbers: Sequence[int]) -> None:
        """See `Acknowledger`."""
        del numbers
        if (partition := self._flows.get(flow)) is None:
            return
        partition.advance()
        self._again_seconds.pop(partition.key, None)
        if partition.paused:
            self._resume()
        if self._batches:
            self._look_for_room()

    def failed(self, flow: Flow, number: int, why: Settlement) -> None:
        """See `Acknowledger`: what was given back is read again, unless we end; what nothing takes is in the way."""
        del number
        if (partition := self._flows.get(flow)) is None or self._stopped:
            return
        if why.fate is Fate.REJECTED:
            if partition.key in self._stuck:
                return
            at = f"{flow.name}/{partition.first_unsettled}"
            log.critical("a message can be neither delivered nor buried", extra={"source": self.name, "detail": at})
            self._stuck[partition.key] = f"partition {flow.name} stands still at a message: {why.detail}"
            return
        partition.halt()
        if partition.key not in self._again:
            seconds = self._again_seconds.get(partition.key, SHORTEST_AGAIN)
            self._again_seconds[partition.key] = min(2 * seconds, LONGEST_AGAIN)
            self._again[partition.key] = self._loop.call_later(seconds, self._rewind, partition)

    def _rewind(self, partition: Partition) -> None:
        """Ask for it, again and again: until `restarted` is told."""
        partition.advance()
        offset = partition.first_unsettled
        if self._polling is not None and offset is not None:
            self._polling.rewind(partition.key, offset)
        self._again[partition.key] = self._loop.call_later(LONGEST_AGAIN, self._rewind, partition)

    def commit(self) -> None:
        """Have committed what is settled since this was last asked."""
        positions = {}
        for partition in self._partitions.values():
            if partition.position is not None and partition.position != partition.committed:
                positions[partition.key] = partition.committed = partition.position
        if positions and self._polling is not None:
            self._polling.commit(positions)
        self._resume()
