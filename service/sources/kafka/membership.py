"""Which partitions the group has given to one consumer: what is done when some come, and when some go. Everything but
what the loop hears is in the thread that polls.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from confluent_kafka import Consumer, KafkaException, TopicPartition

from service.sources.kafka.condition import ASK_SECONDS, Condition
from service.sources.kafka.listener import Listener, tell
from service.sources.kafka.partition import Key

log = logging.getLogger(__name__)


class Membership:
    """The call-backs of librdkafka's rebalances."""

    def __init__(
        self,
        name: str,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
        condition: Condition,
        *,
        revoke_seconds: float,
        start_ms: int | None,
    ) -> None:
        """`start_ms`: see `Polling`."""
        self.paused: set[Key] = set()
        self.heard = 0
        """Assignments that the loop has heard of."""
        self.assignments = 0
        """All of them."""
        self._ours: dict[Key, int] = {}
        """The partitions that are ours, and the number of the assignment that each came with."""
        self._name = name
        self._listener = listener
        self._loop = loop
        self._condition = condition
        self._revoke_seconds = revoke_seconds
        self._start_ms = start_ms

    def still(self, keys: Sequence[Key], heard: int) -> list[Key]:
        """Those that are in the assignment that the loop knew when it had `heard` of so many: it may have asked for
        something in one that is over.
        """
        return [key for key in keys if self._ours.get(key, heard + 1) <= heard]

    def assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """These are ours from now on."""
        keys = self._told("partitions assigned", partitions)
        self.assignments += 1
        self._ours.update(dict.fromkeys(keys, self.assignments))
        tell(self._loop, self._hear, keys)
        self._condition.receives()
        if self._start_ms is not None and partitions:
            consumer.incremental_assign(self._started(consumer, partitions, self._start_ms))

    def _hear(self, keys: Sequence[Key]) -> None:
        """In the loop."""
        self.heard += 1
        self._listener.assigned(keys)

    def _started(self, consumer: Consumer, partitions: Sequence[TopicPartition], start_ms: int) -> list[TopicPartition]:
        """Where each begins: at what the group committed, else at that time, else at the end."""
        try:
            known = consumer.committed(list(partitions), timeout=ASK_SECONDS)
            # of what cannot be told librdkafka asks for the committed offset itself
            told = [each for each in known if each.error is None]
            fresh = [TopicPartition(each.topic, each.partition, start_ms) for each in told if each.offset < 0]
            found = consumer.offsets_for_times(fresh, timeout=ASK_SECONDS) if fresh else []
            starts = {(each.topic, each.partition): each for each in (*told, *found) if each.error is None}
        except KafkaException as error:
            # nothing may be left out: as `auto.offset.reset` says, which is `earliest`
            self._warn("where to start could not be found out: partitions begin at their beginning", error)
            return list(partitions)
        return [starts.get((each.topic, each.partition), each) for each in partitions]

    def revoked(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """These go, once the listener has said what to commit.

        The request is on its way to the coordinator before that by which they go. Its answer is not waited for: while
        others join, librdkafka asks again and again, and `commit` knows no time-out (seen: for as long as it was let).
        """
        keys = self._told("partitions revoked", partitions)
        result: Future[dict[Key, int]] = Future()
        tell(self._loop, self._listener.revoking, keys, result)
        try:
            positions = result.result(self._revoke_seconds + 2 * ASK_SECONDS)
            if positions:
                consumer.commit(offsets=at(positions), asynchronous=True)
        except TimeoutError:
            log.error("the event loop did not answer: partitions go without a commit", extra={"source": self._name})
        except KafkaException as error:
            self._warn("the last offsets of revoked partitions were not committed", error)
        self._let_go(consumer, keys)

    def lost(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """The group has given them to others: what is under way there is theirs."""
        self._let_go(consumer, self._told("partitions lost", partitions))

    def end(self) -> None:
        """The consumer is no more: nothing is ours."""
        self._gone(list(self._ours))

    def _let_go(self, consumer: Consumer, keys: Sequence[Key]) -> None:
        paused = [TopicPartition(*key) for key in keys if key in self.paused]
        if paused:
            # librdkafka would remember it if they came again (confluent-kafka-go, issue 193)
            try:
                consumer.resume(paused)
            except KafkaException as error:
                self._warn("partitions that go could not be resumed", error)
        self._gone(keys)

    def _gone(self, keys: Sequence[Key]) -> None:
        for key in keys:
            self._ours.pop(key, None)
        self.paused.difference_update(keys)
        tell(self._loop, self._listener.gone, keys)

    def _told(self, what: str, partitions: Sequence[TopicPartition]) -> list[Key]:
        keys: list[Key] = [(each.topic, each.partition) for each in partitions]
        log.info(what, extra={"source": self._name, "partitions": [f"{topic}/{number}" for topic, number in keys]})
        return keys

    def _warn(self, what: str, error: KafkaException) -> None:
        log.warning(what, extra={"source": self._name, "detail": error.args[0].str()})


def at(positions: Mapping[Key, int]) -> list[TopicPartition]:
    """The offsets, as confluent-kafka takes them."""
    return [TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()]
